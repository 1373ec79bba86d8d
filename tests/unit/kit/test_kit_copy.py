"""The kit copied into a project: complete, in its own folder, and nothing of the project touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from minikit import GIT, QUIET, commit, contents, git, make_kit, plant

from slipway.core.errors import SlipwayError
from slipway.kit import copying, record
from slipway.project import files
from tests.support.world import copy_checkout

PROJECT: dict[str, str | None] = {
    "manage.py": "",
    "Dockerfile": "theirs\n",
    "docker-compose.yml": "theirs\n",
    ".dockerignore": "*\n",
    ".env": "theirs\n",
    "nginx/nginx.conf": "theirs\n",
    "docker/__init__.py": "",
    "tasks/__init__.py": "",
    "tests/__init__.py": "",
    # Everything the kit has, by pattern, but for its folder.
    ".gitignore": "docs/\ndocker\n*.yaml\n*.env*\n*.txt\n*.py\n*.json\nbootstrap\nDockerfile*\n*.md\n",
}


def make_project(folder: Path) -> Path:
    folder.mkdir()
    plant(folder, PROJECT)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--message", "theirs")
    return folder


@GIT
def test_nothing_of_the_project_is_touched(tmp_path: Path) -> None:
    """Red when a file of the project is overwritten, or git's index or status is."""
    kit, project = make_kit(tmp_path / "kit"), make_project(tmp_path / "shop")
    before, index = contents(project), (project / ".git/index").read_bytes()
    target = copying.copy(kit, project, runner=QUIET)
    assert target == project / "slipway"
    after = contents(project)
    assert {name: after[name] for name in before} == before
    assert (project / ".git/index").read_bytes() == index
    assert {name.split("/")[0] for name in set(after) - set(before)} == {"slipway"}
    assert not list(project.glob(".slipway*"))


@GIT
def test_only_tracked_files_come_along(tmp_path: Path) -> None:
    """Red when secrets or a .env of the kit's clone are copied, links are followed, or modes are lost."""
    kit, project = make_kit(tmp_path / "kit"), make_project(tmp_path / "shop")
    plant(kit, {".env": "secret", "secrets/key": "secret", ".venv/bin/x": "", "stray.txt": "untracked"})
    git(kit, "remote", "add", "origin", "https://me:pass@kit.example.org/kit.git")
    target = copying.copy(kit, project, runner=QUIET)
    copied = set(contents(target)) - {record.NAME, ".slipway/machine.env"}
    wanted = {n for n in git(kit, "ls-files").split() if not n.startswith(("example/", "tests/"))}
    assert copied == wanted
    assert (target / ".dockerignore").is_symlink() and (target / "bootstrap").stat().st_mode & 0o111
    noted = record.read(target)
    assert noted and set(noted.files) == wanted
    assert noted.revision == git(kit, "rev-parse", "HEAD").strip()
    assert noted.source == "https://kit.example.org/kit.git"
    listed = {
        line.split("\t")[1]: line.split()[0:3:2] for line in git(kit, "ls-tree", "-r", "HEAD").splitlines()
    }
    assert {path: [file.mode, file.id] for path, file in noted.files.items()} == {
        path: listed[path] for path in wanted
    }


@GIT
def test_the_real_kit_is_tracked_whole_in_a_project_that_ignores_its_names(tmp_path: Path) -> None:
    """Red when the kit's .gitignore lets the project's patterns hide a file of it, or shows secrets."""
    kit, project = tmp_path / "kit", make_project(tmp_path / "shop")
    copy_checkout(kit)
    plant(
        kit, {".env": "x", "app.env": "x", "secrets/key": "x", ".slipway/machine.env": "", "backups/a": "x"}
    )
    target = copying.copy(kit, project, runner=QUIET)
    plant(target, {".env": "x", "app.prod.env": "x", "secrets/key": "x", ".venv/x": "x", "backups/a": "x"})
    noted = record.read(target)
    assert noted and noted.revision == "" and files.is_kit(noted.files)
    untracked = git(project, "ls-files", "--others", "--exclude-standard").split()
    assert set(untracked) == {f"slipway/{name}" for name in [*noted.files, record.NAME]}
    assert not [name for name in noted.files if name.split("/")[0] in files.LEFT_OUT]
    assert git(project, "status", "--porcelain").split("\n") == ["?? slipway/", ""]


@GIT
def test_a_project_that_ignores_the_folder_itself_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when the kit is silently left out of the project's repository."""
    kit, project = make_kit(tmp_path / "kit"), make_project(tmp_path / "shop")
    plant(project, {".gitignore": "slipway/\n"})
    copying.copy(kit, project, runner=QUIET)
    assert "!/slipway/" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_a_taken_place_is_refused_and_another_name_taken(tmp_path: Path, kind: str) -> None:
    """Red when a folder, file or dangling link of the project's is written over or into."""
    kit, project = tmp_path / "kit", tmp_path / "shop"
    copy_checkout(kit)
    project.mkdir()
    match kind:
        case "folder":
            plant(project, {"slipway/__init__.py": "theirs"})
        case "file":
            plant(project, {"slipway": "theirs"})
        case _:
            (project / "slipway").symlink_to("nowhere")
    before = contents(project)
    with pytest.raises(SlipwayError) as refused:
        copying.copy(kit, project, runner=QUIET)
    assert refused.value.slip_code == "SLIP-150" and "--into" in refused.value.fix
    assert contents(project) == before
    assert copying.copy(kit, project, "ops", QUIET) == project / "ops"


@pytest.mark.parametrize("into", ["", ".", "..", "../x", "a/b", "a b", ".git", "a'b", "$x"])
def test_names_that_are_no_folder_of_the_project_are_refused(tmp_path: Path, into: str) -> None:
    """Red when --into leads out of the project, or to a name that no pattern can hold."""
    with pytest.raises(SlipwayError, match="SLIP-150"):
        copying.check(tmp_path / "kit", tmp_path, into)


def test_the_kit_is_not_copied_into_itself(tmp_path: Path) -> None:
    """Red when a project inside the kit gets a copy of the kit."""
    (tmp_path / "kit/example").mkdir(parents=True)
    for project in (tmp_path / "kit", tmp_path / "kit/example"):
        with pytest.raises(SlipwayError, match="SLIP-150"):
            copying.check(tmp_path / "kit", project)


def test_a_second_copy_and_an_interrupted_one(tmp_path: Path) -> None:
    """Red when a copy that is there is overwritten, or half a copy is taken for one, or stays in the way."""
    kit, project = tmp_path / "kit", tmp_path / "shop"
    copy_checkout(kit)
    plant(project, {".slipway.copying/.slipway-kit.json": "{}", ".slipway.copying/tasks.py": "half"})
    target = copying.copy(kit, project, runner=QUIET)
    assert not (project / ".slipway.copying").exists()
    (target / "tasks.py").write_text("# edited")
    assert copying.copy(kit, project, runner=QUIET) == target
    assert (target / "tasks.py").read_text() == "# edited"


@GIT
def test_an_incomplete_kit_is_not_copied(tmp_path: Path) -> None:
    """Red when a kit with a missing file is copied as it is."""
    kit = make_kit(tmp_path / "kit")
    (kit / "docs/page.md").unlink()
    (tmp_path / "shop").mkdir()
    with pytest.raises(SlipwayError, match="SLIP-152") as refused:
        copying.copy(kit, tmp_path / "shop", runner=QUIET)
    assert "docs/page.md" in refused.value.problem
    assert not list((tmp_path / "shop").iterdir())


@GIT
def test_a_copy_of_a_copy_knows_the_same_origin(tmp_path: Path) -> None:
    """Red when the second copy takes the project's repository for the kit's."""
    kit, project = make_kit(tmp_path / "kit"), make_project(tmp_path / "shop")
    first = record.read(copying.copy(kit, project, runner=QUIET))
    commit(project, "with kit")
    shutil.rmtree(kit)
    (tmp_path / "blog").mkdir()
    second = record.read(copying.copy(project / "slipway", tmp_path / "blog", runner=QUIET))
    assert first and second and (first.files, first.revision) == (second.files, second.revision)
