"""An existing site's dump and uploads, brought over: in every form, refused when bad, and the way back."""

from __future__ import annotations

import gzip
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from backupkit import MEDIA_ROOT, Kept, assert_clean, assert_serves, listed, post, state

from tests.support.site import Site
from tests.support.world import World, docker


def _dumped(own: World, *options: str) -> bytes:
    """What pg_dump says of the site's database."""
    return own.docker("exec", f"{own.project}-db-1", "pg_dump", "--username=app", *options, "app").encode()


def _written(own: World, *options: str) -> bytes:
    """The same for a format that is no text."""
    argv = ["docker", "exec", f"{own.project}-db-1", "pg_dump", "--username=app", *options, "app"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


FORMS: dict[str, Callable[[World], bytes]] = {
    "plain": lambda own: _dumped(own).replace(b"OWNER TO app;", b'OWNER TO "old shop";'),
    "plain.gz": lambda own: gzip.compress(_dumped(own, "--clean", "--if-exists")),
    "inserts": lambda own: _dumped(own, "--inserts", "--no-owner"),
    "custom": lambda own: _written(own, "--format=custom"),
    "tar": lambda own: _written(own, "--format=tar"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_dump_takes_the_place_of_the_database(prod: World, kept: Kept, tmp_path: Path, form: str) -> None:
    """Red when a form is not taken, something stored since stays, a role is left, or there is no way back."""
    content = FORMS[form](prod)
    before = state(prod)[0]
    dump = tmp_path / "site.dump"
    dump.write_bytes(content)
    post(prod, "stored since")
    backups = len(listed(prod))
    prod.invoke("db.import", str(dump), "--yes")
    assert state(prod)[0] == before
    assert prod.sql("select count(*) from pg_roles where rolname = 'old shop'") == "0"
    owners = "select count(*) from pg_tables where schemaname = 'public' and tableowner <> 'app'"
    assert prod.sql(owners) == "0"
    assert_serves(prod)
    assert_clean(prod)
    assert len(listed(prod)) == backups + 1
    assert any("before-import" in name for name in listed(prod))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text[: len(text) // 2], "SLIP-089"),
        (lambda text: text.replace(b"SET ", b"\\connect postgres\nSET ", 1), "SLIP-089"),
        # Red without psql's restricted mode: the program would run in the database's container.
        (lambda text: text.replace(b"SET ", b"\\! touch /tmp/reached\nSET ", 1), "SLIP-093"),
        (lambda text: text.replace(b"CREATE TABLE", b"CREATE TABEL", 1), "SLIP-093"),
    ],
    ids=["cut off", "another database", "a program", "an error"],
)
def test_a_bad_dump_changes_nothing(
    prod: World, tmp_path: Path, change: Callable[[bytes], bytes], code: str
) -> None:
    """Red when half of one is in the database, or one reaches another database or the container."""
    before = state(prod)
    dump = tmp_path / "site.sql"
    dump.write_bytes(change(_dumped(prod)))
    refused = prod.invoke("db.import", str(dump), "--yes", check=False)
    assert refused.returncode == 1 and code in refused.stderr, refused.stderr
    assert state(prod) == before
    assert_serves(prod)
    assert_clean(prod)
    reached = ["exec", f"{prod.project}-db-1", "sh", "-c", "ls /tmp/reached 2>/dev/null"]
    assert docker(*reached, check=False) == ""


def test_the_right_dump_after_a_wrong_one_opens_the_site(prod: World, tmp_path: Path) -> None:
    """Red when what the wrong one had is taken for what the code here has."""
    before = state(prod)
    right, wrong = tmp_path / "right.sql", tmp_path / "wrong.sql"
    right.write_bytes(_dumped(prod))
    wrong.write_text("CREATE TABLE another_site (x int);")
    said = prod.invoke("db.import", str(wrong), "--yes").stderr
    assert "lacks migrations: " in said and "guestbook.0001_initial" in said and "invoke migrate" in said
    assert Site(prod.url).get("/").status_code == 503
    assert "SLIP-174" in prod.invoke("doctor", check=False).stdout
    said = prod.invoke("db.import", str(right), "--yes").stderr
    assert "migrations" not in said and "invoke maintenance off --prod" in said
    prod.invoke("maintenance", "off")
    assert state(prod) == before
    assert_serves(prod)
    assert_clean(prod)


def test_uploads_are_served_whatever_their_modes_were(prod: World, tmp_path: Path) -> None:
    """Red when nginx answers 403, a backup cannot read a file, or one that was here stays."""
    uploads = tmp_path / "uploads"
    (uploads / "2019" / "ä b").mkdir(parents=True)
    private = uploads / "2019" / "ä b" / "scan.txt"
    private.write_bytes(b"scanned")
    for path in (private, *private.parents[:3]):
        path.chmod(0o700 if path.is_dir() else 0o600)
    before = state(prod)
    prod.invoke("media.import", str(uploads), "--yes")
    answer = Site(prod.url).get("/media/2019/%C3%A4%20b/scan.txt")
    assert (answer.status_code, answer.content) == (200, b"scanned")
    assert state(prod)[0] == before[0]
    files = docker("exec", f"{prod.project}-web-1", "find", MEDIA_ROOT, "-type", "f").splitlines()
    assert files == [f"{MEDIA_ROOT}/2019/ä b/scan.txt"]
    assert_clean(prod)
    post(prod, "written by the site")
    name = prod.invoke("db.backup").stdout.strip()
    assert listed(prod)[name]["size"]
    last = max(name for name in listed(prod) if "before-import" in name)
    prod.invoke("db.restore", last, "--yes")
    assert state(prod) == before


def test_a_wrong_folder_is_refused(prod: World, tmp_path: Path) -> None:
    """Red when an empty folder takes the place of the uploads."""
    before = state(prod)
    for folder in (tmp_path, tmp_path / "none"):
        refused = prod.invoke("media.import", str(folder), "--yes", check=False)
        assert refused.returncode == 1 and "SLIP-194" in refused.stderr, refused.stderr
    assert state(prod) == before
    assert_clean(prod)
