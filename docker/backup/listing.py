"""The list of backups."""

import contextlib
import json

import encryption
from archive import Reader
from failure import BackupError
from places import BACKUPS, DUMP, archives, dumps, time_of

VERIFIED = BACKUPS / "verified.jsonl"


def entries():
    """Return a dict for every archive and every dump of a deploy, newest first."""
    verified = _verified()
    found = []
    for match in (*archives(), *dumps()):
        # The schedule may prune one at this moment.
        with contextlib.suppress(FileNotFoundError):
            found.append(_dump(match) if match.re is DUMP else _archive(match, verified))
    return sorted(found, key=lambda entry: (entry["time"], entry["name"]), reverse=True)


def _archive(match, verified):
    name = match.string
    state = (BACKUPS / name).stat()
    entry = {
        "name": name,
        "kind": "archive",
        "stack": match["stack"],
        "time": time_of(match).isoformat(),
        "size": state.st_size,
        "release": None,
        "encrypted": bool(match["encrypted"]),
        "verified": verified.get((name, state.st_size, state.st_mtime_ns)),
        "problem": None,
    }
    try:
        metadata = _head(BACKUPS / name, entry["encrypted"])
        entry["release"] = metadata.get("release")
        entry["project"] = metadata.get("project")
    except BackupError as why:
        entry["problem"] = str(why).split("\n", 1)[0]
    return entry


def _head(path, encrypted):
    """Return the metadata, reading nothing else."""
    with encryption.opened(path) if encrypted else path.open("rb") as stream:
        return Reader(stream, path.name).metadata()


def _dump(match):
    name = match.string
    return {
        "name": name,
        "kind": "dump",
        "stack": "prod",
        "time": time_of(match).isoformat(),
        "size": (BACKUPS / name).stat().st_size,
        "release": f"before {match['release']}",
        "encrypted": False,
        "verified": None,
        "problem": None,
    }


def _verified():
    """Return when each archive was verified, by name, size and modification time, which identify it."""
    found = {}
    for line in VERIFIED.read_text().splitlines() if VERIFIED.exists() else []:
        try:
            entry = json.loads(line)
            found[entry["name"], entry["size"], entry["mtime_ns"]] = entry["time"]
        except (ValueError, KeyError):
            continue  # cut short by a crash
    return found
