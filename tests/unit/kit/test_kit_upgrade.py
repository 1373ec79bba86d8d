"""A newer kit: clones are merged, copies file by file; what was changed here is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from minikit import FIRST, GIT, QUIET, SECOND, advance, commit, contents, git, make_kit, plant

from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.kit import copying, filewise, record
from slipway.kit.merging import plan
from slipway.kit.upgrading import upgrade

pytestmark = GIT


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    return make_kit(tmp_path / "kit")


@pytest.fixture
def copy(kit: Path, tmp_path: Path) -> Path:
    """The first kit in the folder of a project, committed there."""
    project = tmp_path / "shop"
    project.mkdir()
    plant(project, {"manage.py": "", "Dockerfile": "theirs\n"})
    git(project, "init", "--quiet")
    target = copying.copy(kit, project, runner=QUIET)
    commit(project, "with kit")
    return target


def text(folder: Path, name: str) -> str:
    return (folder / name).read_text()


def test_an_untouched_copy_becomes_the_newer_kit(
    kit: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when a file is not taken over or not removed, a mode is lost, or news are not told."""
    user_owned = {".env": "A=1", "app.env": "B=1", "secrets/key": "s", "compose/mine.yaml": "services: {}"}
    plant(copy, dict(user_owned))
    second = advance(kit)
    upgrade(copy, QUIET)
    for name, content in {**FIRST, **SECOND}.items():
        there = content is not None and not name.startswith(("example/", "tests/"))
        assert (copy / name).exists() == there, name
        assert not there or text(copy, name) == content, name
    assert (copy / "docs/added.md").stat().st_mode & 0o111 and (copy / "bootstrap").stat().st_mode & 0o111
    assert {name: text(copy, name) for name in user_owned} == user_owned
    noted = record.read(copy)
    assert noted and noted.revision == second
    said = capsys.readouterr().err
    assert "NEW" in said and "OLD" in said and "./bootstrap" in said
    assert text(copy, ".slipway/before-upgrade/Dockerfile") == "FROM a\n"
    assert git(copy, "diff", "--cached", "--name-only") == "", "the index was touched"


def test_what_was_changed_here_is_merged_kept_or_a_conflict(kit: Path, copy: Path) -> None:
    """Red when an edit made here is lost, or a conflict is not told, or a clean merge is called one."""
    plant(
        copy,
        {
            "bootstrap": FIRST["bootstrap"].replace("line 1\n", "my line 1\n"),
            "docs/page.md": "one\nmine\nthree\n",
            "docs/edited-and-gone.md": "mine\n",
            "docs/deleted-here.md": None,
            "slipway/__init__.py": "MINE = 1\n",
            "docs/added.md": "mine too\n",
        },
    )
    (copy / "bootstrap").chmod(0o644)
    commit(copy, "edits")
    advance(kit)
    with pytest.raises(SlipwayError) as told:
        upgrade(copy, QUIET)
    assert told.value.slip_code == "SLIP-154" and told.value.code == 1
    for name in ("docs/page.md", "docs/edited-and-gone.md", "docs/added.md"):
        assert name in told.value.problem
    assert "bootstrap" not in told.value.problem and "deleted-here" not in told.value.problem
    assert "my line 1\n" in text(copy, "bootstrap") and "line nineteen" in text(copy, "bootstrap")
    assert (copy / "bootstrap").stat().st_mode & 0o111 == 0
    page = text(copy, "docs/page.md")
    assert "<<<<<<< here\nmine\n=======\nzwei\n>>>>>>> the newer kit\n" in page
    assert text(copy, "docs/edited-and-gone.md") == "mine\n"
    assert not (copy / "docs/deleted-here.md").exists()
    assert text(copy, "slipway/__init__.py") == "MINE = 1\n"
    assert text(copy, "docs/added.md") == "mine too\n"
    assert text(copy, "docs/added.md.slipway-new") == "new\n"
    assert text(copy, "Dockerfile") == "FROM b\n"


def test_uncommitted_changes_of_the_kits_files_are_refused_by_name(kit: Path, copy: Path) -> None:
    """Red when an uncommitted edit is mixed with the upgrade's, or the project's own refuse it."""
    advance(kit)
    plant(copy, {"Dockerfile": "edited\n"})
    before = contents(copy)
    with pytest.raises(SlipwayError, match="SLIP-153") as refused:
        upgrade(copy, QUIET)
    assert "Dockerfile" in refused.value.problem
    assert contents(copy) == before
    git(copy, "checkout", "Dockerfile")
    plant(copy.parent, {"manage.py": "edited", "stray.py": "new"})
    upgrade(copy, QUIET)
    assert text(copy, "Dockerfile") == "FROM b\n"


def test_a_copy_that_was_never_committed_is_refused(kit: Path, tmp_path: Path) -> None:
    """Red when untracked files of the kit count as committed."""
    project = tmp_path / "blog"
    project.mkdir()
    git(project, "init", "--quiet")
    target = copying.copy(kit, project, runner=QUIET)
    advance(kit)
    with pytest.raises(SlipwayError, match="SLIP-153"):
        upgrade(target, QUIET)


def test_a_dry_run_changes_nothing_and_says_what_would(
    kit: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when --dry writes."""
    advance(kit)
    before = contents(copy)
    upgrade(copy, Runner(dry=True))
    after = {
        name: found for name, found in contents(copy).items() if not name.startswith(".slipway/kit.git/")
    }
    assert after == before
    assert "docs/added.md" in capsys.readouterr().err


def test_what_cannot_be_merged_by_line_is_put_beside(kit: Path, copy: Path) -> None:
    """Red when one side of a binary file is taken, or a half-merged one is left."""
    (copy / "docs/page.md").write_bytes(b"\0mine")
    commit(copy, "mine")
    (kit / "docs/page.md").write_bytes(b"\0theirs")
    commit(kit, "theirs")
    with pytest.raises(SlipwayError, match=r"SLIP-154: 1 .*docs/page\.md"):
        upgrade(copy, QUIET)
    assert (copy / "docs/page.md").read_bytes() == b"\0mine"
    assert (copy / "docs/page.md.slipway-new").read_bytes() == b"\0theirs"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("renames", (0, 2, 5))
def test_a_kill_between_any_two_steps_is_made_good_by_the_next_call(
    kit: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """Red when the journal is written late, or a half-done upgrade is refused as uncommitted changes."""
    plant(copy, {"docs/page.md": "one\nmine\nthree\n"})
    commit(copy, "edit")
    advance(kit)
    genuine, left = Path.replace, renames

    def replace(path: Path, target: Path) -> Path:
        nonlocal left
        if ".slipway/upgrade/new" in str(path) and ".slipway" not in str(target):
            if not left:
                raise Killed
            left -= 1
        return genuine(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises((Killed, SlipwayError)):
        upgrade(copy, QUIET)
    monkeypatch.undo()
    if (copy / ".slipway/upgrade").exists():
        with pytest.raises(SlipwayError, match="SLIP-154"):
            upgrade(copy, QUIET)
    for name in (".env.example", "bootstrap", "Dockerfile", "docs/added.md", "requirements/tools.txt"):
        assert text(copy, name) == SECOND[name]
    assert not (copy / "docs/gone.md").exists() and "<<<<<<<" in text(copy, "docs/page.md")
    noted = record.read(copy)
    assert noted and noted.revision == git(kit, "rev-parse", "HEAD").strip()


def test_staging_that_was_killed_begins_anew(kit: Path, copy: Path) -> None:
    """Red when files staged by a run that never wrote its journal are put in place."""
    plant(copy, {".slipway/upgrade/new/Dockerfile": "half"})
    assert not filewise.finish(copy)
    advance(kit)
    upgrade(copy, QUIET)
    assert text(copy, "Dockerfile") == "FROM b\n"


def test_twice_and_to_a_revision_and_back(kit: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Red when the record does not follow, or --to is not taken."""
    advance(kit)
    upgrade(copy, QUIET)
    commit(copy, "upgraded")
    upgrade(copy, QUIET)
    assert "up to date" in capsys.readouterr().err
    assert git(copy, "status", "--porcelain") == ""
    upgrade(copy, QUIET, revision="1")
    assert text(copy, "Dockerfile") == "FROM a\n" and not (copy / "docs/added.md").exists()
    commit(copy, "back")
    with pytest.raises(SlipwayError, match="SLIP-152"):
        upgrade(copy, QUIET, revision="3")


def test_where_it_comes_from_must_be_known_and_a_kit(kit: Path, copy: Path, tmp_path: Path) -> None:
    """Red when an address is made up, or anything is taken for a kit."""
    shutil.rmtree(kit)
    with pytest.raises(SlipwayError, match="SLIP-151"):
        upgrade(copy, QUIET)
    for place in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(SlipwayError, match="SLIP-152"):
            upgrade(copy, QUIET, place=str(place))


def test_from_an_unpacked_archive(kit: Path, copy: Path, tmp_path: Path) -> None:
    """Red when a newer kit without history cannot be taken, or an edit made here is lost by it."""
    plant(copy, {"docs/page.md": "one\nmine\nthree\n"})
    commit(copy, "edit")
    advance(kit)
    shutil.rmtree(kit / ".git")
    with pytest.raises(SlipwayError, match=r"SLIP-154: 1 .*docs/page\.md"):
        upgrade(copy, QUIET, place=str(kit))
    page = text(copy, "docs/page.md")
    assert "mine" in page and "zwei" in page
    assert text(copy, "Dockerfile") == "FROM b\n"


def test_a_project_without_git(kit: Path, tmp_path: Path) -> None:
    """Red when a project that is in no repository has no upgrade, or no way back."""
    project = tmp_path / "plain"
    project.mkdir()
    target = copying.copy(kit, project, runner=QUIET)
    plant(target, {"docs/page.md": "one\ntwo\nthree\nmine\n"})
    advance(kit)
    upgrade(target, QUIET)
    assert text(target, "docs/page.md") == "one\nzwei\nthree\nmine\n"
    assert text(target, ".slipway/before-upgrade/docs/page.md") == "one\ntwo\nthree\nmine\n"


# -- clones ------------------------------------------------------------------------------------------


@pytest.fixture
def clone(kit: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(kit), "clone")
    git(tmp_path / "clone", "config", "user.name", "t")
    git(tmp_path / "clone", "config", "user.email", "t@example.org")
    return tmp_path / "clone"


def test_an_untouched_clone_moves_on(kit: Path, clone: Path) -> None:
    """Red when a clone without changes gets a merge, or is left behind."""
    second = advance(kit)
    plant(clone, {".env": "A=1"})
    upgrade(clone, QUIET)
    assert git(clone, "rev-parse", "HEAD").strip() == second
    assert text(clone, ".env") == "A=1" and git(clone, "status", "--porcelain") == ""


def test_a_clone_with_commits_of_its_own_is_merged_and_left_to_commit(kit: Path, clone: Path) -> None:
    """Red when an own commit is lost, or the merge is committed before anybody has tried it."""
    plant(clone, {"bootstrap": FIRST["bootstrap"].replace("line 1\n", "my line 1\n")})
    own = commit(clone, "mine")
    second = advance(kit)
    upgrade(clone, QUIET)
    assert "my line 1\n" in text(clone, "bootstrap") and "line nineteen" in text(clone, "bootstrap")
    assert git(clone, "rev-parse", "HEAD").strip() == own
    assert git(clone, "rev-parse", "MERGE_HEAD").strip() == second
    with pytest.raises(SlipwayError, match=r"SLIP-153.*merge is under way"):
        upgrade(clone, QUIET)


def test_conflicts_in_a_clone_are_listed_and_marked(kit: Path, clone: Path) -> None:
    """Red when git's conflicts end in success."""
    plant(clone, {"docs/page.md": "one\nmine\nthree\n"})
    commit(clone, "mine")
    advance(kit)
    with pytest.raises(SlipwayError, match=r"SLIP-154: 1 .*docs/page\.md"):
        upgrade(clone, QUIET)
    assert "<<<<<<<" in text(clone, "docs/page.md")


def test_a_clone_with_uncommitted_changes_and_a_dry_run(kit: Path, clone: Path) -> None:
    """Red when either changes the clone."""
    head = git(clone, "rev-parse", "HEAD")
    advance(kit)
    upgrade(clone, Runner(dry=True))
    plant(clone, {"Dockerfile": "edited\n"})
    with pytest.raises(SlipwayError, match=r"SLIP-153.*Dockerfile"):
        upgrade(clone, QUIET)
    assert git(clone, "rev-parse", "HEAD") == head and text(clone, "Dockerfile") == "edited\n"


def test_a_repository_begun_from_an_archive_finds_its_base(kit: Path, tmp_path: Path) -> None:
    """Red when a kit without shared history is overwritten, or every file of it is called a conflict."""
    archive = tmp_path / "archive"
    shutil.copytree(kit, archive, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    git(archive, "init", "--quiet")
    plant(archive, {"docs/page.md": "one\nmine\nthree\n", "Dockerfile": "FROM a\nRUN mine\n"})
    commit(archive, "mine")
    second = advance(kit)
    with pytest.raises(SlipwayError, match="SLIP-151"):
        upgrade(archive, QUIET)
    with pytest.raises(SlipwayError, match=r"SLIP-154: 2 .*docs/page\.md"):
        upgrade(archive, QUIET, place=str(kit))
    assert text(archive, "bootstrap") == SECOND["bootstrap"]
    assert text(archive, "example/views.py") == ""
    noted = record.read(archive)
    assert noted and noted.revision == second


def test_the_users_own_files_are_never_in_a_plan() -> None:
    """Red when a kit that ships a .env, secrets or an overlay of the same name overwrites the user's."""
    theirs = dict.fromkeys((".env", "app.prod.env", "secrets/key", "compose/mine.yaml"), _file("2"))
    found = plan({}, dict.fromkeys(theirs, _file("1")), theirs, apart=("compose/mine.yaml",))
    assert not found.changes and not found.conflicts


def _file(name: str):  # type: ignore[no-untyped-def]
    from slipway.project.files import File

    return File("100644", name)
