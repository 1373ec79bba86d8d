"""Sources of a newer kit: a git repository, or an unpacked folder."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.project import files

__all__ = ["Source", "open_source"]

_MIRROR = Path(".slipway/kit.git")


class Source:
    """One state of the kit, ``tree``, with the content of its files and of earlier states of them."""

    def __init__(self, place: str, revision: str, tree: files.Tree, runner: Runner) -> None:
        self.place = place
        self.revision = revision
        self.tree = tree
        self._runner = dataclasses.replace(runner, echo=False, dry=False)

    def write(self, file: files.File, target: Path) -> bool:
        """Write the content of ``file`` to ``target``, a link as a link; return False if it is not here."""
        raise NotImplementedError

    def nearest(self, ours: files.Tree) -> files.Tree:
        """Return the earlier state with most files in common with ``ours``; empty if none has any."""
        raise NotImplementedError


class _Repository(Source):
    def __init__(self, mirror: Path, place: str, revision: str, runner: Runner) -> None:
        self.git = ["git", f"--git-dir={mirror}"]
        super().__init__(place, revision, files.listing(self.git, revision, runner), runner)

    def write(self, file: files.File, target: Path) -> bool:
        known = self._runner.capture([*self.git, "cat-file", "-e", file.id]).returncode == 0
        if known:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._runner.run([*self.git, "cat-file", "blob", file.id], stdout=target)
            _as_mode(target, file.mode)
        return known

    def nearest(self, ours: files.Tree) -> files.Tree:
        best: files.Tree = {}
        for revision in self._runner.capture([*self.git, "rev-list", self.revision]).stdout.split():
            tree = files.listing(self.git, revision, self._runner)
            if _common(tree, ours) > _common(best, ours):
                best = tree
        return best


class _Folder(Source):
    def __init__(self, folder: Path, runner: Runner) -> None:
        self.folder = folder
        tree = files.of_folder(folder, runner)
        super().__init__(str(folder), "", tree, runner)
        self._paths = {file.id: path for path, file in tree.items()}

    def write(self, file: files.File, target: Path) -> bool:
        path = self._paths.get(file.id)
        if path:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.folder / path, target, follow_symlinks=False)
        return path is not None

    def nearest(self, ours: files.Tree) -> files.Tree:
        return {}


def open_source(root: Path, place: str, revision: str, runner: Runner) -> Source:
    """Return the kit at ``place``, a folder or a URL, at ``revision`` (empty: its HEAD).

    A repository is fetched into ``.slipway/kit.git`` of the kit in ``root``; nothing else is written.
    Raises ``SlipwayError`` SLIP-152 if it cannot be fetched, has no such revision, or is no kit.
    """
    folder = Path(place).expanduser()
    if folder.is_dir() and not _is_repository(folder):
        if revision:
            raise _bad(f"{folder} is no git repository, so it has no revision {revision!r}", "leave out --to")
        source: Source = _Folder(folder.resolve(), runner)
    else:
        place = str(folder.resolve()) if folder.is_dir() else place
        mirror = root / _MIRROR
        source = _Repository(mirror, place, _fetch(mirror, place, revision, runner), runner)
    if not files.is_kit(source.tree):
        raise _bad(f"{place} is not a kit", "name a clone, an unpacked archive or the URL of Slipway")
    return source


def _fetch(mirror: Path, place: str, revision: str, runner: Runner) -> str:
    runner = dataclasses.replace(runner, dry=False)
    git = ["git", f"--git-dir={mirror}"]
    if not (mirror / "HEAD").is_file():
        mirror.parent.mkdir(exist_ok=True)
        runner.capture(["git", "init", "--quiet", "--bare", str(mirror)], check=True)
    refs = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    for wanted in (refs, ("HEAD",)):
        argv = [*git, "fetch", "--quiet", "--no-auto-gc", place, *wanted]
        if runner.run(argv, check=False).returncode:
            raise _bad(
                f"the kit cannot be fetched from {place} (see above)",
                "check address and network, or name another source: invoke upgrade --from PATH_OR_URL",
            )
    wanted_name = revision or "FETCH_HEAD"
    answer = runner.capture([*git, "rev-parse", "--verify", "--quiet", f"{wanted_name}^{{commit}}"])
    if answer.returncode:
        raise _bad(f"{place} has no revision {revision!r}", "name a tag, a branch or a commit of it")
    return answer.stdout.strip()


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or ((folder / "HEAD").is_file() and (folder / "objects").is_dir())


def _as_mode(path: Path, mode: str) -> None:
    if mode == "120000":
        leads_to = path.read_text(encoding="utf-8")
        path.unlink()
        path.symlink_to(leads_to)
    else:
        path.chmod(0o755 if mode == "100755" else 0o644)


def _common(one: files.Tree, other: files.Tree) -> int:
    return sum(1 for path, file in one.items() if path in other and other[path].id == file.id)


def _bad(problem: str, fix: str) -> SlipwayError:
    return SlipwayError("SLIP-152", problem, fix)
