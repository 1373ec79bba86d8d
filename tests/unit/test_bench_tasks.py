"""What the bench of tasks, of development and of bare machines types, edits and adds up."""

from __future__ import annotations

import ast
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.config.settings import load, variables
from slipway.core.checkout import ROOT
from slipway.host import enginepackages
from slipway.orchestrators.compose import Stack
from tests.bench import bare, dev, growth, registry
from tests.bench.__main__ import _by_function
from tests.bench.commands import compose_up
from tests.bench.setups import SMALL_PACKAGES
from tests.bench.timed import timed

VIEWS = (ROOT / "example" / "guestbook" / "views.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("prod", [False, True])
def test_by_hand_is_typed_what_up_runs(checkout: Path, prod: bool) -> None:
    """Red when `compose_up` lists flags of its own."""
    typed = compose_up(cast(Any, SimpleNamespace(root=checkout, prod=prod)))
    assert typed == [*Stack(load(checkout, environ={}), prod, cwd=checkout).up(), "--wait"]
    assert "--no-build" in typed


def test_what_fails_has_no_time(tmp_path: Path) -> None:
    """Red when `timed` does not look at the exit code."""
    with pytest.raises(AssertionError, match=r"ended with 3:\nbroken"):
        timed(["sh", "-c", "echo broken; exit 3"], cwd=tmp_path)
    assert timed(["sh", "-c", "sleep 0.05"], cwd=tmp_path) >= 0.05


def test_the_edit_is_of_the_front_page() -> None:
    """Red when guestbook/views.py is rewritten so that the edit finds no place in it."""
    changed = dev.edited(VIEWS, 7)
    ast.parse(changed)
    assert changed.count('answer["X-Edit"] = "7"\n    return answer') == 1
    with pytest.raises(ValueError, match="must have this once"):
        dev.edited("def index(request): ...", 7)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder with the views, and the port of a server that shows every second edit late, after an error."""
    views = tmp_path / "guestbook" / "views.py"
    views.parent.mkdir()
    views.write_text(VIEWS)
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = re.search(r'"X-Edit"\] = "(\d+)"', views.read_text())
            edit = found[1] if found else "0"
            asked.append(edit)
            times = asked.count(edit)
            # First as if nothing had changed, then restarting, then there.
            self.send_response(500 if times == 2 else 200)
            self.send_header("X-Edit", edit if times > 1 else "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tmp_path, server.server_address[1]
        server.shutdown()
    assert asked == ["1", "1", "1", "2", "2", "2"]


def test_served_is_the_page_of_this_edit_and_no_error(
    project: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when `page` does not look at the status, or the first answer after an edit counts."""
    monkeypatch.setattr(dev, "_RELOADER_SECONDS", 0.0)
    served = dev.Served(*project)
    assert [served.save_to_served() > 0, served.save_to_served() > 0] == [True, True]


def test_the_host_has_the_stacks_settings(tmp_path: Path) -> None:
    """Red when a secret's path stays the container's, or the database is not the published one."""
    variables = {"SECRET_KEY_FILE": "/run/secrets/secret_key", "POSTGRES_HOST": "db", "DEBUG": "1", "A": None}
    assert dev.environment(variables, tmp_path, 5433) == {
        "SECRET_KEY_FILE": f"{tmp_path}/secret_key",
        "POSTGRES_HOST": "127.0.0.1",
        "POSTGRES_PORT": "5433",
        "DEBUG": "1",
        "A": "",
    }


def test_packages_suffice_and_differ() -> None:
    """Red when one is in the list twice, or in the example's requirements."""
    assert len(set(SMALL_PACKAGES)) == len(SMALL_PACKAGES) >= max(growth.DEPENDENCIES)
    pinned = (ROOT / "example" / "requirements.txt").read_text(encoding="utf-8")
    assert not [name for name in SMALL_PACKAGES if re.search(rf"^{name}==", pinned, re.MULTILINE)]


def test_the_engine_alone_is_installed_as_bootstrap_installs_it() -> None:
    """Red when packages are named here and not taken from the kit."""
    assert bare.apt(*enginepackages.DEBIAN).endswith(
        "install --yes --no-install-recommends " + " ".join(enginepackages.DEBIAN)
    )


@pytest.mark.parametrize(
    ("pip_conf", "bundle", "given"), [(False, False, 0), (True, False, 1), (True, True, 3)]
)
def test_pip_gets_what_the_host_is_configured_for(pip_conf: bool, bundle: bool, given: int) -> None:
    """Red when a file that is not there is mounted: the engine would make a folder of that name."""
    argv = bare.install_dependencies("python:3", pip_conf=pip_conf, bundle=bundle).split()
    assert argv.index("--workdir=/app") - argv.index("--rm") == given + 2
    assert argv.index("python:3") < argv.index("pip")


def test_the_sum_is_of_all_parts_and_turns_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a part is left out of the sum, or ours always goes first."""
    order: list[str] = []

    def parts(_mirror: str) -> dict[str, float]:
        order.append("parts")
        return {"engine by apt": 10.0, "tools by pip": 5.0}

    monkeypatch.setattr(bare, "registry", lambda _place: "http://registry")
    monkeypatch.setattr(bare, "_up_to_page", lambda _mirror: order.append("ours") or 30.0)
    monkeypatch.setattr(bare, "_parts", parts)
    found = bare.bare_machine(cast(Any, SimpleNamespace(note=lambda _text: None)), 2)
    assert found.pairs.ratios == [2.0, 2.0]
    assert order == ["ours", "parts", "parts", "ours"]
    assert found.note == "2 pairs of machines; the parts: engine by apt 10.0 s, tools by pip 5.0 s"


def test_what_takes_too_long_is_measured_by_name_alone() -> None:
    """Red when `_by_function` does not ask ONLY_BY_NAME, or leaves out what was asked for."""
    assert [*_by_function(bare.MEASURES, None).values()] == [bare.bare_machine]
    assert [*_by_function(bare.MEASURES, ["bare_machine_stand_ins"]).values()] == [
        bare.bare_machine_stand_ins
    ]


def test_official_names_are_asked_of_the_mirror() -> None:
    """Red when a base image has an official name for which a mirror is not asked; when none means any."""
    assert json.loads(registry.daemon_configuration("http://10.0.0.2:5000")) == {
        "registry-mirrors": ["http://10.0.0.2:5000"]
    }
    assert "proxies" in json.loads(registry.daemon_configuration(""))
    assert not [name for name in registry.BASES if "/" in variables()[name].default]


def test_growth_builds_each_count_from_nothing_in_turns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Red when a build keeps the cache of the one before, or has the requirements of another count."""
    did: list[str] = []

    def side(name: str) -> SimpleNamespace:
        project = tmp_path / name
        project.mkdir()
        found = SimpleNamespace(project=project, image=name)
        found.engine = SimpleNamespace(forget=lambda image: did.append(f"forget {image}"))

        def build() -> float:
            did.append(f"build {name}")
            return float((project / "requirements.txt").read_text())

        found.build = build
        return found

    sides = {"slipway": side("slipway"), "two-stage-pip": side("two-stage-pip")}
    monkeypatch.setattr(growth, "DEPENDENCIES", (1, 40))
    monkeypatch.setattr(growth, "ours", lambda _place: sides["slipway"])
    monkeypatch.setattr(growth, "usual", lambda _place, name: sides[name])
    monkeypatch.setattr(
        growth, "lock", lambda project, *more: (project / "requirements.txt").write_text(f"{len(more)}")
    )
    curve = growth.growth_build(cast(Any, SimpleNamespace(note=lambda _text: None)), 5)
    expected = [(1.0, [1.0, 1.0]), (40.0, [40.0, 40.0])]
    assert curve.points == {"Slipway": expected, "two-stage pip": expected}
    order = [name for name in did if name.startswith("build")]
    assert order == [f"build {name}" for name in [*sides] * 2 + [*reversed(sides)] * 2]
    assert did[::2] == [name.replace("build", "forget") for name in order]
