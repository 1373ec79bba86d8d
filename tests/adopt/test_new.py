"""A fresh clone made a project of one's own: it starts, serves and is tested at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from projectkit import git

from tests.support.site import Site
from tests.support.world import World, free_port

PASSWORD = "Tr0ub4dor-and-3"


class Clone(World):
    """A clone of the kit, committed, whose both stacks go at the end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, prod=False)
        self.http_port = free_port()
        git(self.root, "init", "--quiet")
        self.commit("the kit")

    def commit(self, message: str) -> None:
        git(self.root, "add", "--all")
        git(
            self.root,
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "commit",
            "--quiet",
            "-m",
            message,
        )

    def turn(self, *, prod: bool) -> None:
        self.prod, self.project = prod, f"{self.name}-{'prod' if prod else 'dev'}"

    def remove(self) -> None:
        for prod in (True, False):
            self.turn(prod=prod)
            super().remove()


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    own = Clone(tmp_path)
    try:
        yield own
    finally:
        own.remove()


def test_a_new_project_serves_and_is_tested_at_once(clone: Clone) -> None:
    """Red when startproject's output is wired wrong: no start, no static files, no sign-in, a failing test.

    Break it in ``wiring.settings``: leave out ``DATABASES``, and the first migration is asked of SQLite.
    """
    clone.invoke("new", "shop")
    clone.commit("shop")
    # `new` calls the stacks like the project; the tests' own name keeps them apart.
    clone.write_env(PROJECT_NAME=clone.name, HTTP_PORT=str(clone.http_port))

    clone.invoke("up")
    site = Site(clone.url)
    assert site.get("/healthz/ready").json() == {"status": "ok"}
    assert "Ran " in clone.invoke("test").stderr
    assert clone.sql("SELECT count(*) FROM django_migrations") != "0"

    clone.turn(prod=True)
    clone.invoke("up")
    clone.invoke("test")
    site = Site(f"http://localhost:{clone.http_port}")
    assert site.get("/healthz/ready").json() == {"status": "ok"}
    login = site.get("/admin/login/").text
    css = login.split('href="/static/admin/css/base.')[1].split('"')[0]
    answer = site.get(f"/static/admin/css/base.{css}")
    assert answer.status_code == 200 and "immutable" in answer.headers["Cache-Control"]
    clone.invoke("createsuperuser", "--username", "root", "--email", "root@example.org",
                 env={"DJANGO_SUPERUSER_PASSWORD": PASSWORD})  # fmt: skip
    assert site.sign_in("root", PASSWORD).headers.get("Location") == "/admin/"

    # What nox means there: no engine, nothing of the kit's own tests.
    done = subprocess.run(
        [sys.executable, "-m", "nox"], cwd=clone.root, capture_output=True, text=True, check=False,
        env={k: v for k, v in os.environ.items() if not k.startswith("NOX")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(clone.root, "status", "--porcelain") == ""
