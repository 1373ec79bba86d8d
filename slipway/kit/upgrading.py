"""``invoke upgrade``: replace the kit's files with those of a newer kit, and keep local changes."""

from __future__ import annotations

from pathlib import Path

from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.kit import record
from slipway.kit.advice import advice, refuse_conflicts, say
from slipway.kit.filewise import BEFORE, finish, guess, replace
from slipway.kit.record import Record
from slipway.kit.sources import Source, open_source
from slipway.project import files

__all__ = ["upgrade"]


def upgrade(root: Path, runner: Runner, *, place: str = "", revision: str = "") -> None:
    """Upgrade the kit in ``root`` to ``revision`` of ``place``, a folder or URL.

    By default ``place`` is the kit's origin, ``revision`` its HEAD. A clone is merged by git; a copy, or a
    project made from the kit, is upgraded file by file. A dry run shows what would change. Raises
    ``SlipwayError`` SLIP-151 to SLIP-155; with SLIP-154 the upgrade is done, with conflicts in the files.
    """
    if not runner.dry and finish(root):
        return
    found = record.read(root)
    place = place or record.default_source(root, found, runner)
    if not place:
        raise SlipwayError(
            "SLIP-151",
            "the origin of this kit is not known: it has no remote and no recorded source",
            "name a clone, an unpacked archive or a URL: invoke upgrade --from PATH_OR_URL",
        )
    top = files.toplevel(root, runner)
    _check_clean(root, top, found, runner)
    newer = open_source(root, place, revision, runner)
    if found is None and top == root and _is_related(root, newer, runner):
        _merge(root, newer, runner)
    else:
        replace(root, found or guess(root, newer, runner), newer, runner)


def _check_clean(root: Path, top: Path | None, found: Record | None, runner: Runner) -> None:
    """Refuse if git could not tell the upgrade's changes from earlier ones."""
    if runner.capture(["git", "--version"]).returncode:
        raise SlipwayError(
            "SLIP-061", "the program 'git' is not installed", "install it: apt-get install git"
        )
    if top is None:
        note(f"not in a git repository: replaced files are kept in {BEFORE}")
        return
    git = ["git", "-C", str(root)]
    if runner.capture([*git, "rev-parse", "--verify", "--quiet", "MERGE_HEAD"]).returncode == 0:
        raise SlipwayError(
            "SLIP-153",
            "a merge is under way in this repository",
            "finish it with git commit, or abort it with git merge --abort; then rerun the command",
        )
    argv = [*git, "status", "--porcelain", "--no-renames", "--untracked-files=all", "-z", "--", "."]
    changed = []
    for entry in filter(None, runner.capture(argv).stdout.split("\0")):
        path = (top / entry[3:]).relative_to(root).as_posix()
        known = path in found.files or path == record.NAME if found else not entry.startswith("??")
        changed += [path] if known else []
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise SlipwayError(
            "SLIP-153",
            f"files of the kit are not committed: {', '.join(changed[:5])}{more}",
            "commit them (git add, git commit) or stash them (git stash), so that you can go back",
        )


def _is_related(root: Path, newer: Source, runner: Runner) -> bool:
    """Fetch the newer kit's commits into the clone; return whether the two share any."""
    mirror, ref = root / ".slipway/kit.git", "refs/slipway/newer"
    if not newer.revision:
        return False
    runner.capture(["git", f"--git-dir={mirror}", "update-ref", ref, newer.revision], check=True)
    runner.capture(["git", "-C", str(root), "fetch", "--quiet", "--no-tags", str(mirror), ref], check=True)
    return bool(_base(root, newer, runner))


def _base(root: Path, newer: Source, runner: Runner) -> str:
    return runner.capture(["git", "-C", str(root), "merge-base", "HEAD", newer.revision]).stdout.strip()


def _merge(root: Path, newer: Source, runner: Runner) -> None:
    git = ["git", "-C", str(root)]
    base = _base(root, newer, runner)
    if base == newer.revision:
        note(f"the kit is up to date with {newer.revision[:12]}")
        return
    lines = advice(files.listing(git, base, runner), newer.tree, newer)
    if runner.dry:
        runner.run([*git, "merge", "--no-commit", newer.revision])
        print(runner.capture([*git, "diff", "--stat", f"HEAD...{newer.revision}"]).stdout, end="")
        say(lines)
        return
    code = runner.run([*git, "merge", "--no-commit", newer.revision], check=False).returncode
    unmerged = runner.capture([*git, "diff", "--name-only", "--diff-filter=U", "-z"]).stdout.split("\0")
    conflicts = {path: "changed here and in the kit" for path in unmerged if path}
    if code and not conflicts:
        raise SlipwayError(
            "SLIP-153",
            "git does not merge the newer kit (see above); nothing has changed",
            "do what git says, then rerun the command",
        )
    merging = runner.capture([*git, "rev-parse", "--verify", "--quiet", "MERGE_HEAD"]).returncode == 0
    if merging and not conflicts:
        lines = [*lines, "check it with git diff --cached, try it, then git commit; or git merge --abort"]
    say(lines)
    refuse_conflicts(conflicts)
