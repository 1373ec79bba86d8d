"""A kit of a few files, with a history, for what copies and upgrades kits."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from slipway.core.run import Runner

QUIET = Runner(echo=False)
GIT = pytest.mark.skipif(not shutil.which("git"), reason="git is not on this machine")

FIRST = {
    ".gitignore": "/.env\n/app.env\n/secrets/\n/.slipway/\n/.venv/\n",
    ".env.example": "#OLD=1\n#KEPT=1\n",
    "bootstrap": "#!/bin/sh\n" + "".join(f"line {n}\n" for n in range(20)),
    "Dockerfile": "FROM a\n",
    "docs/page.md": "one\ntwo\nthree\n",
    "docs/gone.md": "goes\n",
    "docs/edited-and-gone.md": "goes\n",
    "docs/deleted-here.md": "first\n",
    "example/manage.py": "",
    "requirements/tools.txt": "a==1\n",
    "slipway/__init__.py": "",
    "tests/test_kit.py": "",
}
SECOND = {
    ".env.example": "#KEPT=1\n#NEW=2\n",
    "bootstrap": FIRST["bootstrap"].replace("line 19", "line nineteen"),
    "Dockerfile": "FROM b\n",
    "docs/page.md": "one\nzwei\nthree\n",
    "docs/gone.md": None,
    "docs/edited-and-gone.md": None,
    "docs/deleted-here.md": "second\n",
    "docs/added.md": "new\n",
    "example/views.py": "",
    "requirements/tools.txt": "a==2\n",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git there, as somebody; return what it printed."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def plant(folder: Path, texts: dict[str, str | None]) -> None:
    """Write files; None deletes one."""
    for name, text in texts.items():
        path = folder / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(folder: Path, message: str) -> str:
    """Commit everything; return the commit."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD").strip()


def make_kit(folder: Path) -> Path:
    """A kit at its first state, tagged 1."""
    folder.mkdir()
    plant(folder, dict(FIRST))
    (folder / "bootstrap").chmod(0o755)
    (folder / ".dockerignore").symlink_to("Dockerfile")
    git(folder, "init", "--quiet")
    commit(folder, "first")
    git(folder, "tag", "1")
    return folder


def advance(kit: Path) -> str:
    """Bring the kit to its second state, tagged 2; returns the commit."""
    plant(kit, SECOND)
    (kit / "docs/added.md").chmod(0o755)
    revision = commit(kit, "second")
    git(kit, "tag", "2")
    return revision


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file below ``folder`` but git's own."""
    return {
        path.relative_to(folder).as_posix(): (
            path.lstat().st_mode,
            str(path.readlink()).encode() if path.is_symlink() else path.read_bytes(),
        )
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.relative_to(folder).parts[0] != ".git"
    }
