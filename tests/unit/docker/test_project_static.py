"""docker/project_static.py and docker/publish_static.py: STATIC_ROOT, .gz siblings, publishing."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import pytest
from kitfiles import load

project_static = load("project_static")
publish_static = load("publish_static")


def test_no_static_root_is_an_error_with_the_fix() -> None:
    """Red when None is taken for a folder's name."""
    with pytest.raises(project_static.StaticError, match="SETTINGS_OVERLAY=STATIC_ROOT"):
        project_static.static_root({"STATIC_ROOT": None})


def test_a_static_root_around_the_project_is_refused() -> None:
    """Red without the check: the whole project would be published."""
    for folder in (Path.cwd(), Path.cwd().parent):
        with pytest.raises(project_static.StaticError, match="holds the project itself"):
            project_static.static_root({"STATIC_ROOT": str(folder)})


SETTINGS = """\
import sys
from pathlib import Path
assert sys.argv[1:] == ["collectstatic", "--noinput"], "settings may read the command"
print("noise")
INSTALLED_APPS = []
{static_root}
MEDIA_ROOT = Path("/srv/up")
"""
MANAGE = """\
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop_settings")
if __name__ == "__main__":
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
"""


@pytest.mark.parametrize(
    ("line", "root"),
    [
        ("STATIC_ROOT = '/static'", "/static"),
        ("STATIC_ROOT = Path('/app/staticfiles')", "/app/staticfiles"),
        ("STATIC_ROOT = 'collected/'", "HERE/collected"),
        ("STATIC_ROOT = None", None),
    ],
)
def test_the_settings_are_asked_as_the_command_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, root: str | None
) -> None:
    """Red when sys.argv is another, what manage.py does first is left out, or a relative root stays one.

    A stand-in for Django: the real one is in the images' tests.
    """
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "shop_settings.py").write_text(SETTINGS.format(static_root=line))
    (tmp_path / "django/core").mkdir(parents=True)
    (tmp_path / "django/__init__.py").touch()
    (tmp_path / "django/conf.py").write_text(
        "import importlib, os\n"
        "class Lazy:\n"
        "    STATIC_URL = 's/'; MEDIA_URL = ''\n"
        "    def __getattr__(self, name):\n"
        "        return getattr(importlib.import_module(os.environ['DJANGO_SETTINGS_MODULE']), name)\n"
        "settings = Lazy()\n"
    )
    (tmp_path / "django/core/__init__.py").touch()
    (tmp_path / "django/core/management.py").write_text(
        "def execute_from_command_line(argv): raise SystemExit(9)\n"
    )
    monkeypatch.chdir(tmp_path)
    asked = project_static.Project(
        {"PATH": f"{Path(sys.executable).parent}", "PYTHONPATH": str(tmp_path)}
    ).settings()
    assert asked == {
        "STATIC_ROOT": root and root.replace("HERE", str(tmp_path)),
        "STATIC_URL": "s/",
        "MEDIA_ROOT": "/srv/up",
        "MEDIA_URL": "",
        "FILE_UPLOAD_TEMP_DIR": None,
        "COLLECTS": False,
    }


def test_a_reference_that_leads_nowhere_is_named() -> None:
    """Red when MISSING_REFERENCE does not know what Django and WhiteNoise say."""
    said = (
        "Post-processing 'css/site.css' failed!\n\nTraceback (most recent call last):\n"
        "ValueError: The file 'css/no.png' could not be found with"
        " <django.contrib.staticfiles.storage.ManifestStaticFilesStorage object at 0x7f>.\n"
    )
    missing = project_static.MISSING_REFERENCE.search(said)
    assert missing
    message = project_static._missing_reference(said, missing)
    assert message.startswith("SLIP-134: css/site.css refers to css/no.png, which is not")


def test_source_maps_that_are_not_there_are_published_empty(tmp_path: Path) -> None:
    """Red when a map that is there is lost, one outside is written, or an address is taken for a file."""
    root = tmp_path / "static"
    (root / "lib" / "maps").mkdir(parents=True)
    for name, text in {
        "lib/a.js": "a()\n//# sourceMappingURL=a.js.map\n",
        "lib/b.css": "b{}\n/*# sourceMappingURL=maps/b.css.map */",
        "lib/c.js": "//# sourceMappingURL=https://cdn.test/c.js.map",
        "lib/d.js": "//# sourceMappingURL=../../outside.map",
        "lib/e.js": "//# sourceMappingURL=data:application/json;base64,e30=",
        "lib/f.js": "//# sourceMappingURL=f.js.map",
        "lib/f.js.map": "theirs",
    }.items():
        (root / name).write_text(text)
    assert project_static.add_source_maps(root) == 2
    assert {p.name for p in root.rglob("*.map")} == {"a.js.map", "b.css.map", "f.js.map"}
    assert (root / "lib/f.js.map").read_text() == "theirs"
    assert not (tmp_path / "outside.map").exists()


def test_collecting_goes_on_without_source_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the first failure is the last, or a picture is made up as well."""
    (tmp_path / "manage.py").write_text(
        "import sys, pathlib\n"
        "name = pathlib.Path('wanted').read_text()\n"
        "if not pathlib.Path('static', name).exists():\n"
        "    sys.exit(f\"The file '{name}' could not be found with <a.Storage object\")\n"
    )
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.js").write_text("//# sourceMappingURL=a.js.map")
    monkeypatch.chdir(tmp_path)
    project = project_static.Project({"PATH": str(Path(sys.executable).parent)})
    (tmp_path / "wanted").write_text("no.png")
    with pytest.raises(project_static.StaticError, match=r"SLIP-134.*no\.png"):
        project.collect(tmp_path / "static")
    (tmp_path / "wanted").write_text("a.js.map")
    assert project.collect(tmp_path / "static")


def test_only_what_gains_from_it_is_compressed(tmp_path: Path) -> None:
    """Red when images are packed again, tiny files get a sibling, or the time is not the original's."""
    (tmp_path / "css").mkdir()
    for name, content in {
        "css/site.css": b"a" * 5000,
        "logo.png": b"a" * 5000,
        "tiny.js": b"a" * 100,
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "noise.json").write_bytes(os.urandom(5000))
    os.utime(tmp_path / "css/site.css", (1_700_000_000, 1_700_000_000))
    assert project_static.precompress(tmp_path) == 1
    packed = tmp_path / "css/site.css.gz"
    assert [p.name for p in tmp_path.rglob("*.gz")] == ["site.css.gz"]
    assert gzip.decompress(packed.read_bytes()) == b"a" * 5000
    assert packed.stat().st_mtime == 1_700_000_000


def test_publishing_counts_replaces_and_leaves_alone(tmp_path: Path) -> None:
    """Red when files are compared by time and size alone, or an equal file is written again."""
    source, volume = tmp_path / "source", tmp_path / "volume"
    for folder in (source / "a", volume / "a"):
        folder.mkdir(parents=True)
    (source / "new.css").write_text("n")
    (source / "a/changed.css").write_text("12345")
    (volume / "a/changed.css").write_text("54321")
    (source / "same.css").write_text("s")
    (volume / "same.css").write_text("s")
    (volume / "old.css").write_text("o")
    (volume / "a/.half.css.99.slipway-publishing").write_text("half")
    for path in (source / "a/changed.css", volume / "a/changed.css", volume / "same.css"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    inode = (volume / "same.css").stat().st_ino
    assert publish_static.publish(source, volume) == {"new": 1, "updated": 1, "unchanged": 1}
    assert (volume / "a/changed.css").read_text() == "12345"
    assert (volume / "a/changed.css").stat().st_mtime == 1_700_000_000
    assert (volume / "same.css").stat().st_ino == inode
    assert (volume / "same.css").stat().st_mtime == 1_700_000_000
    assert sorted(p.name for p in volume.rglob("*") if p.is_file()) == [
        "changed.css",
        "new.css",
        "old.css",
        "same.css",
    ]


def test_a_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the copy goes straight to its name: the old content would be gone when it fails."""
    (tmp_path / "source").mkdir()
    (tmp_path / "volume").mkdir()
    (tmp_path / "source/site.css").write_text("new")
    (tmp_path / "volume/site.css").write_text("old")

    def disk_full(source: Path, target: Path) -> None:
        Path(target).write_text("n")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publish_static.shutil, "copy2", disk_full)
    with pytest.raises(OSError, match="No space left"):
        publish_static.publish(tmp_path / "source", tmp_path / "volume")
    assert (tmp_path / "volume/site.css").read_text() == "old"
