"""Names of PostgreSQL images, the one line of .env that changes, what a comparison says."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config import postgres, settings
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor, upgradecompare


@pytest.mark.parametrize(
    ("reference", "major", "next_one"),
    [
        ("postgres:17-trixie", 17, "postgres:18-trixie"),
        ("slipway/postgres:17-trixie", 17, "slipway/postgres:18-trixie"),
        ("postgres:17", 17, "postgres:18"),
        ("postgres:17.5", 17, "postgres:18"),
        ("registry.example:5000/library/postgres:17.5-alpine3.22", 17,
         "registry.example:5000/library/postgres:18-alpine3.22"),
        ("postgis/postgis:17-3.5", 17, "postgis/postgis:18-3.5"),
        ("postgres:19beta2-trixie", 19, "postgres:18-trixie"),
        ("postgres:latest", None, None),
        ("postgres", None, None),
        ("registry.example:5000/postgres", None, None),
        ("mine/postgres:2026-05", None, None),
        ("postgres:17-trixie@sha256:0123", None, None),
    ],
)  # fmt: skip
def test_the_version_in_a_reference(reference: str, major: int | None, next_one: str | None) -> None:
    """Red when the flavour is lost, a registry's port is taken for a version, or a digest is ignored."""
    assert postgres.major_in(reference) == major
    assert postgres.with_major(reference, 18) == next_one


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1\nPOSTGRES_IMAGE=old\nB='x y'\n", "A=1\nPOSTGRES_IMAGE=new:1\nB='x y'\n"),
        (
            "\n\n# about it\nexport POSTGRES_IMAGE=old # why\nB=2",
            "\n\n# about it\nexport POSTGRES_IMAGE=new:1\nB=2",
        ),
        ("A=1\r\nPOSTGRES_IMAGE='old'\r\nB=2\r\n", "A=1\r\nPOSTGRES_IMAGE=new:1\r\nB=2\r\n"),
        ("#POSTGRES_IMAGE=older\nPOSTGRES_IMAGE = old", "#POSTGRES_IMAGE=older\nPOSTGRES_IMAGE =new:1"),
    ],
)
def test_one_line_changes_and_every_other_stays(tmp_path: Path, before: str, after: str) -> None:
    """Red when a comment, an order or a line's end is lost, or a line that is commented out is taken."""
    file = tmp_path / ".env"
    file.write_bytes(before.encode())
    text = envfile.with_values(file, {"POSTGRES_IMAGE": "new:1"})
    assert text == after
    file.write_bytes(text.encode())
    assert envfile.read(file)["POSTGRES_IMAGE"].value == "new:1"


def test_a_value_changes_where_it_comes_from(checkout: Path) -> None:
    """Red when machine.env is written although .env has the last word, or the file's mode is lost."""
    env = checkout / ".env"
    env.write_text("PROJECT_NAME=shop\nPOSTGRES_IMAGE=postgres:17-trixie\n")
    env.chmod(0o640)
    found = settings.load(checkout, environ={})
    settings.change(found, {"POSTGRES_IMAGE": "postgres:18-trixie", "DB_VOLUME_SUFFIX_PROD": "-18"})
    assert env.read_text() == "PROJECT_NAME=shop\nPOSTGRES_IMAGE=postgres:18-trixie\n"
    assert env.stat().st_mode & 0o777 == 0o640
    assert settings.recorded(checkout) == {"DB_VOLUME_SUFFIX_PROD": "-18"}
    changed = settings.load(checkout, environ={})
    assert changed.db_volume(prod=True) == "shop-prod_db-18"
    assert changed.db_volume(prod=False) == "shop-dev_db"


@pytest.mark.parametrize("value", ["18", "-", "-18/..", "_other"])
def test_a_volume_of_another_name_is_refused(checkout: Path, value: str) -> None:
    """Red when the suffix may lead to another project's volume."""
    (checkout / ".env").write_text(f"PROJECT_NAME=shop\nDB_VOLUME_SUFFIX_PROD={value}\n")
    with pytest.raises(SlipwayError, match="SLIP-006"):
        settings.load(checkout, environ={})


def test_what_a_comparison_says() -> None:
    """Red when a fact that only one side has is not one."""
    before = ["rows of public.a|3", "rows of public.b|0", "last value of public.s|"]
    after = ["rows of public.a|2", "last value of public.s|", "extension x|1"]
    assert upgradecompare.differences(before, before) == []
    assert upgradecompare.differences(before, after) == [
        "extension x: none before, 1 after",
        "rows of public.a: 3 before, 2 after",
        "rows of public.b: 0 before, none after",
    ]


DIGEST = f"sha256:{'0' * 64}"
OLD_PLACE, NEW_PLACE = "/var/lib/postgresql/data", "/var/lib/postgresql"


@pytest.mark.parametrize(
    ("image", "said", "place"),
    [
        ("postgres:17-trixie", None, OLD_PLACE),
        ("postgres:18-trixie", None, NEW_PLACE),
        ("postgres:19-trixie", None, NEW_PLACE),
        ("postgres:19rc1", None, NEW_PLACE),
        ("mirror.example/library/postgres:18.1-alpine", None, NEW_PLACE),
        ("postgres:latest", "19", NEW_PLACE),
        (f"postgres@{DIGEST}", "18", NEW_PLACE),
        (f"postgres:17-trixie@{DIGEST}", "18", NEW_PLACE),
        ("postgres:latest", "17", OLD_PLACE),
    ],
)
def test_a_fresh_volume_is_mounted_where_the_image_wants_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, image: str, said: str | None, place: str
) -> None:
    """Before any volume is there: by the image's name, or by what it says of itself (PG_MAJOR).

    Red when 18 or 19 get the place of 17, where their entrypoint refuses to start, or an image without a
    version in its name keeps the place of the one before it.
    """
    other = {OLD_PLACE: "postgres:18", NEW_PLACE: "postgres:17"}[place]
    for reference in (other, image):
        monkeypatch.setattr(engine, "image_environment", lambda _: {"PG_MAJOR": said} if said else {})
        found = settings.load(checkout, environ={"POSTGRES_IMAGE": reference})
        init.record(found)
        if reference == image and said:
            dbmajor.record(Session(Stack(found, prod=True), Runner(echo=False)))
    assert settings.load(checkout, environ={"POSTGRES_IMAGE": image}).db_volume_target == place
