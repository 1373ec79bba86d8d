"""docker/lock_readers.py: Poetry's and Pipenv's locks, read without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kitfiles import load

lock_readers = load("lock_readers")

PYPROJECT = """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.10"
django = {version = "^5", extras = ["argon2"]}
boto3 = {version = "*", optional = true}
win = {version = "*", markers = "sys_platform == 'win32'"}

[tool.poetry.extras]
s3 = ["boto3"]

[tool.poetry.group.prod.dependencies]
gunicorn = "*"

[tool.poetry.dev-dependencies]
pytest = "*"
"""

# As Poetry 1.1 wrote it: files at the end, and no word of groups.
POETRY_LOCK = """\
[[package]]
name = "Django"
version = "5.2"
[package.dependencies]
asgiref = ">=3.8"
argon2-cffi = {version = ">=19", optional = true, markers = "extra == 'argon2'"}
tzdata = {version = "*", markers = "sys_platform == 'win32'"}
[package.extras]
argon2 = ["argon2-cffi (>=19)"]

[[package]]
name = "asgiref"
version = "3.8.1"

[[package]]
name = "argon2-cffi"
version = "23.1.0"

[[package]]
name = "boto3"
version = "1.2"
markers = "extra == 's3'"

[[package]]
name = "gunicorn"
version = "23.0"
[package.source]
type = "git"
url = "https://git.test/gunicorn"
reference = "main"
resolved_reference = "abc"

[[package]]
name = "pytest"
version = "8.0"
files = [{file = "p.whl", hash = "sha256:77"}]

[[package]]
name = "tzdata"
version = "2025.1"

[metadata]
lock-version = "1.1"
[metadata.files]
asgiref = [{file = "a.whl", hash = "sha256:22"}, {file = "a.tar.gz", hash = "sha256:11"}]
"""


@pytest.fixture
def poetry(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "poetry.lock").write_text(POETRY_LOCK)
    return tmp_path


def names(lines: list[str]) -> list[str]:
    return [line.split("=")[0].split(" ")[0] for line in lines]


def test_the_main_group_with_its_hashes(poetry: Path) -> None:
    """Red when development comes along, a marker is not evaluated, or an extra of a dependency is lost."""
    lines = lock_readers.from_poetry(poetry, [], [], everything=False)
    assert lines == [
        "argon2-cffi==23.1.0", "asgiref==3.8.1 --hash=sha256:11 --hash=sha256:22", "Django==5.2",
    ]  # fmt: skip


def test_groups_extras_and_everything(poetry: Path) -> None:
    """Red when a choice is not heeded, or a source in Git loses its revision."""
    lines = lock_readers.from_poetry(poetry, ["prod"], ["s3"], everything=False)
    assert names(lines) == ["argon2-cffi", "asgiref", "boto3", "Django", "gunicorn"]
    assert "gunicorn @ git+https://git.test/gunicorn@abc" in lines
    everything = lock_readers.from_poetry(poetry, [], [], everything=True)
    assert names(everything)[-2:] == ["gunicorn", "pytest"]


def test_what_is_asked_for_and_not_locked(poetry: Path) -> None:
    """Red when it is left out in silence."""
    text = PYPROJECT.replace("[tool.poetry.extras]", 'celery = "*"\n[tool.poetry.extras]')
    (poetry / "pyproject.toml").write_text(text)
    with pytest.raises(lock_readers.StaleError, match="celery"):
        lock_readers.from_poetry(poetry, [], [], everything=False)


def test_a_content_hash_that_is_not_the_manifests(poetry: Path) -> None:
    """Red when a changed constraint goes unnoticed: the old version would be installed."""
    (poetry / "poetry.lock").write_text(POETRY_LOCK + "\n[metadata.x]\n")
    lock = (poetry / "poetry.lock").read_text().replace(
        'lock-version = "1.1"', 'lock-version = "1.1"\ncontent-hash = "00"'
    )  # fmt: skip
    (poetry / "poetry.lock").write_text(lock)
    with pytest.raises(lock_readers.StaleError, match="changed"):
        lock_readers.from_poetry(poetry, [], [], everything=False)


PIPFILE = """\
[[source]]
url = "https://index.test/simple"
verify_ssl = true
name = "pypi"

[packages]
django = "*"

[dev-packages]
pytest = "*"

[deploy]
gunicorn = "*"
"""


def pipfile_lock() -> dict[str, object]:
    # The digest is Pipenv's own of the Pipfile above.
    return {
        "_meta": {"hash": {"sha256": "DIGEST"}, "sources": []},
        "default": {
            "django": {"version": "==5.2", "hashes": ["sha256:2", "sha256:1"], "extras": ["argon2"]},
            "old": {"version": "==1", "markers": "python_version < '3'"},
            "thing": {"git": "https://git.test/thing", "ref": "abc"},
        },
        "develop": {"pytest": {"version": "==8", "hashes": []}, "django": {"version": "==9"}},
        "deploy": {"gunicorn": {"version": "==23"}},
    }


@pytest.fixture
def pipenv(tmp_path: Path) -> Path:
    (tmp_path / "Pipfile").write_text(PIPFILE)
    lock = json.dumps(pipfile_lock()).replace("DIGEST", PIPENV_DIGEST)
    (tmp_path / "Pipfile.lock").write_text(lock)
    return tmp_path


PIPENV_DIGEST = "cdd9c46687fb681cb8c14b41eb2c224ffbaea276ef47e35b322f6f84bf8c343a"


def test_categories_of_a_pipfile_lock(pipenv: Path) -> None:
    """Red when hashes, markers, extras or revisions are lost, or development comes along."""
    lines = lock_readers.from_pipenv(pipenv, ["default"], "")
    assert lines == [
        "django[argon2]==5.2 --hash=sha256:1 --hash=sha256:2", "thing @ git+https://git.test/thing@abc",
    ]  # fmt: skip
    assert len(lock_readers.from_pipenv(pipenv, ["default", "develop", "deploy"], "")) == 4


def test_a_pipfile_that_has_changed(pipenv: Path) -> None:
    """Red when the hash is not compared: the old versions would be installed."""
    (pipenv / "Pipfile").write_text(PIPFILE.replace('django = "*"', 'django = "<5"'))
    with pytest.raises(lock_readers.StaleError, match="changed"):
        lock_readers.from_pipenv(pipenv, ["default"], "")


def test_further_sources_of_a_pipfile(tmp_path: Path) -> None:
    """Red when the default index is listed too: it would win over a mirror."""
    sources = [
        {"name": "pypi", "url": "https://index.test/simple"},
        {"name": "own", "url": "https://own.test/simple"},
    ]
    (tmp_path / "Pipfile.lock").write_text(json.dumps({"_meta": {"sources": sources}}))
    assert lock_readers.pipfile_sources(tmp_path / "Pipfile.lock") == ["https://own.test/simple"]
