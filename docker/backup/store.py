"""The S3-compatible store that archives are copied to, by rclone.

BACKUP_S3_BUCKET, _ENDPOINT (empty: Amazon's), _REGION and _PREFIX locate it; without a bucket there is none.
Archives have the same names as in BACKUP_DIR.
"""

import hashlib
import json
import os
import signal
import subprocess
from pathlib import Path

import archive
import encryption
import places
import prune
from failure import BackupError, full_disk_reported, require_space
from places import ARCHIVE, BACKUPS, say

_SECRETS = {"ACCESS_KEY_ID": "s3_access_key", "SECRET_ACCESS_KEY": "s3_secret_key"}
_CA = Path("/run/configs/backup_s3_ca")
_NO_DIRECTORY = 3  # rclone's exit code for a bucket that does not exist
# Error codes of the protocol (Amazon S3 API reference, "Error responses"), which every store uses.
_REFUSALS = (
    "AccessDenied", "AuthFailure", "Forbidden", "InvalidAccessKeyId", "InvalidToken", "NoSuchBucket",
    "PermanentRedirect", "AuthorizationHeaderMalformed", "SignatureDoesNotMatch", "status code: 403",
)  # fmt: skip
_STOP_SECONDS = 5


def configured():
    """Return whether there is a store."""
    return bool(os.environ.get("BACKUP_S3_BUCKET"))


def entries():
    """Return a dict for every archive in the store, newest first. Raises as ``_rclone``."""
    found = [
        {
            "name": match.string,
            "kind": "archive",
            "stack": match["stack"],
            "time": places.time_of(match).isoformat(),
            "size": size,
            "encrypted": bool(match["encrypted"]),
            "here": (BACKUPS / match.string).is_file(),
        }
        for match, size in _listing()
    ]
    return sorted(found, key=lambda entry: entry["name"], reverse=True)


def synchronise():
    """Copy this stack's archives that the store lacks, newest first; remove what retention does not keep.

    Retention counts the archives of both places, so that nothing is copied only to be removed.
    Raises as ``copy``.
    """
    there = {match.string: size for match, size in _listing() if match["stack"] == places.stack()}
    here = {
        match.string: (BACKUPS / match.string).stat().st_size
        for match in places.archives()
        if match["stack"] == places.stack()
    }
    keep = prune.keep({*here, *there})
    copy(*sorted((name for name in keep & set(here) if there.get(name) != here[name]), reverse=True))
    for name in sorted(set(there) - keep):
        _rclone("deletefile", _remote(name))
        say(f"{name}: removed from the store")


def copy(*names):
    """Copy these archives to the store, and check that the copies are complete; returns their names.

    Raises ``BackupError`` SLIP-114 when a copy differs, and as ``_rclone``.
    """
    for name in names:
        path = BACKUPS / name
        _rclone("copyto", str(path), _remote(name))
        found = json.loads(_rclone("lsjson", "--stat", "--hash", _remote(name)))
        # A store that encrypts with keys of its own reports no MD5.
        theirs = found.get("Hashes", {}).get("md5", "")
        if found["Size"] != path.stat().st_size or theirs not in {"", _md5(path)}:
            raise BackupError(
                "SLIP-114",
                f"the copy of {name} in the store differs from the archive",
                "the next run copies it again; if it happens twice, the store damages what it keeps",
            )
        say(f"{name}: copied to the store")
    return list(names)


def fetch(name):
    """Copy an archive from the store into BACKUP_DIR, checked from its first byte to its last.

    ``name`` may lack the extension, or be ``latest``: the newest of this stack. Returns ``name``. Raises
    ``BackupError`` SLIP-114 when there is none, or BACKUP_DIR has another file of its name; SLIP-095 when it
    is damaged; and as ``_rclone``.
    """
    found, size = _find(name)
    target = BACKUPS / found
    with places.workplace("fetch") as folder, full_disk_reported("a backup was fetched"):
        try:
            # Space for the archive, and for its files, which are unpacked to check them.
            require_space(places.free(folder), 2 * size, f"fetching {found}")
            draft = folder / found
            _rclone("copyto", _remote(found), str(draft))
            _check(draft, folder)
            draft.chmod(0o600)
            places.sync(draft)
            _put(draft, target)
        finally:
            places.clear("fetch")
    return {"name": found, "size": size}


def _put(draft, target):
    try:
        # Not a rename, which would replace an existing file.
        os.link(draft, target)
    except FileExistsError:
        if archive.digest(draft) == archive.digest(target):
            say(f"{target.name}: is already here, identical")
            return
        raise BackupError(
            "SLIP-114",
            f"BACKUP_DIR has another file called {target.name}; it was kept",
            "move it elsewhere, then fetch again",
        ) from None
    places.sync(BACKUPS)


def _check(path, folder):
    if path.suffix == ".gpg" and not encryption.wanted():
        say(f"{path.name} is encrypted, and there is no passphrase: only its transfer has been checked")
        return
    with encryption.opened(path) if path.suffix == ".gpg" else path.open("rb") as stream:
        reader = archive.Reader(stream, path.name)
        reader.members(reader.metadata(), folder)


def _find(name):
    sizes = {match.string: size for match, size in _listing()}
    own = [found for found in sizes if ARCHIVE.fullmatch(found)["stack"] == places.stack()]
    candidates = [max(own, default="")] if name == "latest" else [name, f"{name}.tar", f"{name}.tar.gpg"]
    for candidate in candidates:
        if candidate in sizes:
            return candidate, sizes[candidate]
    raise BackupError(
        "SLIP-114",
        f"the store has no backup {name!r} below {_remote()}",
        "invoke db.backups --remote lists all archives; BACKUP_S3_PREFIX sets the folder it searches",
    )


def _listing():
    """Return match and size of every archive in the store."""
    listed = json.loads(_rclone("lsjson", "--files-only", "--no-modtime", "--no-mimetype", _remote()))
    return [(match, entry["Size"]) for entry in listed if (match := ARCHIVE.fullmatch(entry["Name"]))]


def _remote(name=""):
    # Two projects may share a bucket: archive names do not contain the project's.
    prefix = os.environ["BACKUP_S3_PREFIX"] or os.environ["BACKUP_PROJECT"].rsplit("-", 1)[0]
    return f":s3:{os.environ['BACKUP_S3_BUCKET']}/{prefix.strip('/')}/{name}"


def _rclone(*arguments):
    """Run rclone and return what it printed.

    Raises ``BackupError`` SLIP-113 when the store refuses, SLIP-112 when it does not answer like a store.
    """
    argv = ["rclone", *arguments, "--retries=3", "--low-level-retries=3", "--contimeout=15s", "--timeout=60s"]
    argv += [f"--ca-cert={_CA}"] if _CA.exists() and _CA.stat().st_size else []
    with subprocess.Popen(
        argv, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            printed, errors = process.communicate()
        except BaseException:
            # rclone then removes the parts of an upload, which would stay in the store and cost money.
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    if process.returncode:
        raise _failure(process.returncode, errors)
    return printed


def _environment():
    """Return rclone's environment: the only place, apart from the files, with the credentials."""
    amazon = not os.environ["BACKUP_S3_ENDPOINT"]
    return {
        **os.environ,
        **{f"RCLONE_S3_{variable}": _secret(name) for variable, name in _SECRETS.items()},
        "RCLONE_CONFIG": "",  # none, and no file looked for
        "RCLONE_S3_PROVIDER": "AWS" if amazon else "Other",
        "RCLONE_S3_ENDPOINT": os.environ["BACKUP_S3_ENDPOINT"],
        "RCLONE_S3_REGION": os.environ["BACKUP_S3_REGION"],
        # The keys need permission to write archives, not to create buckets.
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }


def _secret(name):
    path = Path("/run/secrets") / f"backup_{name}"
    try:
        value = path.read_text().strip()
    except OSError:
        value = ""
    if not value:
        raise BackupError(
            "SLIP-113",
            f"secrets/backup/{name} is missing, empty or not readable",
            "write the store's key into it, chmod 444 it (the folder secrets keeps others out), and run the "
            "task, or invoke up --prod for the schedule, again",
        )
    return value


def _failure(code, errors):
    # rclone repeats itself; its last line sums it up.
    lines = [line for line in errors.splitlines() if line.strip()] or [f"rclone ended with {code}"]
    why = lines[-1].strip()
    where = os.environ["BACKUP_S3_ENDPOINT"] or "Amazon S3"
    if code == _NO_DIRECTORY:
        why = f"there is no bucket {os.environ['BACKUP_S3_BUCKET']}"
    elif not any(word in errors for word in _REFUSALS):
        return BackupError(
            "SLIP-112",
            f"the store {where} does not answer as it should: {why}",
            "check BACKUP_S3_ENDPOINT, the network, and BACKUP_S3_CA_FILE for a private CA",
        )
    return BackupError(
        "SLIP-113",
        f"the store {where} refuses: {why}",
        "check the bucket, the region, and secrets/backup/s3_access_key and s3_secret_key: their owner must "
        "be allowed to list, read, write and delete there",
    )


def _md5(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
