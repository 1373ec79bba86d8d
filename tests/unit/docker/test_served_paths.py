"""docker/served_paths.py: settings and variables that do not agree. And slipway/host/npmrc.py."""

from __future__ import annotations

import pytest
from kitfiles import load

from slipway.host.npmrc import parse

differences = load("served_paths").differences
KIT = {"STATIC_URL": "/static/", "MEDIA_URL": "/media/", "MEDIA_ROOT": "/app/media"}
AGREED = {
    "STATIC_ROOT": "/app/s",
    "STATIC_URL": "static/",
    "MEDIA_ROOT": "/app/media/",
    "MEDIA_URL": "/media/",
}


@pytest.mark.parametrize(
    ("project", "fixes"),
    [
        ({}, []),
        ({"STATIC_URL": "/s/"}, ["STATIC_URL=/s/"]),
        ({"STATIC_URL": "assets/static"}, ["STATIC_URL=/assets/static/"]),
        ({"STATIC_URL": "https://cdn.example.com/s/"}, []),
        ({"STATIC_URL": "//cdn.example.com/s/", "MEDIA_URL": "/"}, []),
        ({"STATIC_URL": "/s/", "STATIC_ROOT": None}, []),
        (
            {"MEDIA_URL": "/uploads/", "MEDIA_ROOT": "/data/up"},
            ["MEDIA_URL=/uploads/", "MEDIA_ROOT=/data/up"],
        ),
        ({"MEDIA_URL": "/uploads/", "MEDIA_ROOT": None}, []),
    ],
)
def test_each_difference_names_its_variable(project: dict[str, str | None], fixes: list[str]) -> None:
    """Red when a spelling of the same path differs, or what the project does not use is compared."""
    found = differences({**AGREED, **project}, KIT)
    assert [line.split("fix: ")[1] for line in found] == [f"{fix} in .env" for fix in fixes]
    assert all(line.startswith("SLIP-133: ") for line in found)


@pytest.mark.parametrize(
    ("folder", "warned"),
    [
        ("/tmp", True),
        ("/tmp/uploads", True),
        ("/dev/shm", True),
        (None, False),
        ("/tmpfiles", False),
        ("/app/media/incoming", False),
        ("/srv/data/app/spool", False),
    ],
)
def test_uploads_that_wait_in_memory_are_told(folder: str | None, warned: bool) -> None:
    """Red when a project that names /tmp itself hears of it from visitors whose uploads fail."""
    found = differences({**AGREED, "FILE_UPLOAD_TEMP_DIR": folder}, KIT)
    assert [line.startswith("SLIP-185: ") for line in found] == [True] * warned


def test_only_what_a_build_can_use_of_npms_configuration() -> None:
    """Red when a path of this machine, or another setting, gets into builds, or a variable stays a name."""
    text = (
        "registry=https://npm.example.com/a/\n"
        "cafile=/etc/ssl/ca.pem\nfund=false\n; registry=http://old\n"
        "//npm.example.com/a/:_authToken=${TOKEN}\n@shop:registry = https://shop.example.com/\n"
        "@odd:registry=file:/tmp/x\n"
    )
    assert parse(["registry=https://system.example.com/\n", text], {"TOKEN": "t0"}) == (
        "registry=https://npm.example.com/a/\n"
        "//npm.example.com/a/:_authToken=t0\n@shop:registry=https://shop.example.com/\n"
    )
    assert parse([text], {"npm_config_registry": "http://mine/"}).startswith("registry=http://mine/\n")
    assert parse([], {}) == ""
