"""What the backup tests share: what is stored, archives that were tampered with, tasks that are ended."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.polling import eventually
from tests.support.site import Site, png
from tests.support.world import ROOT, World, docker

sys.path.insert(0, str(ROOT / "docker" / "backup"))

import archive as archives  # the writer that is in the image

State = tuple[frozenset[str], frozenset[str]]
"""The entries with their image's name, and the media files with their digest."""
MEDIA_ROOT = "/app/media"


@dataclass(frozen=True)
class Kept:
    """An archive, and what was stored when it was made."""

    path: Path
    state: State


def post(own: World, text: str) -> None:
    """A new entry with an image of its own."""
    image = png((random.randrange(256), random.randrange(256), random.randrange(256)))
    answer = Site(own.url).submit("/", {"text": text}, {"image": (f"{text}.png", image, "image/png")})
    assert answer.status_code == 302, answer.status_code


def state(own: World) -> State:
    """What is stored now."""
    entries = own.sql("select text || ' ' || image from guestbook_entry").splitlines()
    script = f"cd {MEDIA_ROOT} && find . -type f -exec sha256sum {{}} +"
    files = docker("exec", f"{own.project}-web-1", "sh", "-c", script).splitlines()
    return frozenset(entries), frozenset(files)


def folder(own: World) -> Path:
    """Where its backups are."""
    return own.root / "backups"


def backup(own: World, label: str) -> Path:
    """Make an archive; returns its path."""
    return folder(own) / own.invoke("db.backup", "--label", label).stdout.strip()


def listed(own: World) -> dict[str, dict[str, Any]]:
    """What ``db.backups`` says, by name."""
    return {entry["name"]: entry for entry in json.loads(own.invoke("db.backups", "--json").stdout)}


def assert_serves(own: World) -> None:
    """The site answers with the page, which reads the database."""
    assert Site(own.url).get("/").status_code == 200


def unfinished(own: World) -> list[str]:
    """Folders of work that has not been cleared away."""
    return [path.name for path in (folder(own) / ".work").iterdir() if not path.name.endswith(".lock")]


def assert_clean(own: World) -> None:
    """Nothing is left of a task, whatever it was; what a killed one had begun may take a moment to end."""
    eventually(lambda: one_offs(own) == [], "the containers of the tasks to be gone")
    assert unfinished(own) == []
    assert list((own.root / ".slipway").glob("restore-*")) == []
    hidden = docker("exec", f"{own.project}-web-1", "sh", "-c", f"ls -A {MEDIA_ROOT}").split()
    assert ".slipway-restoring" not in hidden
    others = own.sql("select datname from pg_database where datname like 'slipway%'")
    assert others == ""


def one_offs(own: World, name: str = "") -> list[str]:
    """The ids of the tasks' containers, running or ended; only those with ``name`` in theirs.

    One that was made and never started, by a task killed in that moment, is removed by a run a minute later.
    """
    labels = [f"label=com.docker.compose.project={own.project}", "label=com.docker.compose.oneoff=True"]
    filters = [word for label in labels for word in ("--filter", label)]
    states = [word for state in ("running", "exited", "dead") for word in ("--filter", f"status={state}")]
    return docker("ps", "--all", "--quiet", *filters, *states, "--filter", f"name={name}").split()


# -- archives that nobody has written ----------------------------------------------------------------


def tampered(kept: Kept, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy of the archive with its bytes changed."""
    path = kept.path.with_name(name)
    path.write_bytes(change(kept.path.read_bytes()))
    shutil.chown(path, kept.path.stat().st_uid)
    return path


def forged(
    kept: Kept,
    name: str,
    tmp_path: Path,
    *,
    facts: Callable[[dict[str, Any]], object] = lambda metadata: None,
    media: bytes | None = None,
    count: dict[str, int] | None = None,
) -> Path:
    """An archive that is whole, checksums and all, with other metadata or other media in it."""
    with kept.path.open("rb") as stream:
        reader = archives.Reader(stream, kept.path.name)
        metadata = reader.metadata()
        parts = tmp_path / name
        parts.mkdir()
        reader.members(metadata, parts)
    if media is not None:
        packed = subprocess.run(["zstd", "--quiet"], input=media, capture_output=True, check=True).stdout
        (parts / archives.MEDIA).write_bytes(packed)
        metadata["media"] = count or metadata["media"]
    files = {member: parts / member for member in metadata["members"]}
    for member, path in files.items():
        metadata["members"][member] = {"size": path.stat().st_size, "sha256": archives.digest(path)}
    facts(metadata)
    target = kept.path.with_name(name)
    with target.open("wb") as sink:
        archives.write(sink, metadata, files)
    shutil.chown(target, kept.path.stat().st_uid)
    return target


def tar(*members: tarfile.TarInfo) -> bytes:
    """A tar file of these; each file holds an x."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for member in members:
            file.addfile(member, io.BytesIO(b"x" * member.size))
    return buffer.getvalue()


# -- tasks that are ended ----------------------------------------------------------------------------


def started(own: World, *arguments: str) -> subprocess.Popen[str]:
    """A task that runs, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "invoke", *arguments, "--prod"], cwd=own.root,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def until(task: subprocess.Popen[str], wanted: str) -> None:
    """Read what ``task`` says until a line has ``wanted`` in it."""
    assert task.stderr is not None
    said = []
    for line in task.stderr:
        said.append(line)
        if wanted in line:
            return
    raise AssertionError(f"it ended without {wanted!r}:\n{''.join(said)}")


def kill(own: World, task: subprocess.Popen[str], *, containers: bool) -> None:
    """SIGKILL for the whole process group, and for the one-off containers too if that is wanted."""
    os.killpg(task.pid, signal.SIGKILL)
    task.wait(timeout=30)
    for container in one_offs(own) if containers else []:
        docker("kill", container, check=False)


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of files, by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
