"""docker/gunicorn.conf.py: how many workers, of which kind. The images' tests run it for real."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import yaml
from kitfiles import DOCKER

from slipway.config.settings import variables


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)


@pytest.mark.parametrize(
    ("files", "workers"),
    [
        ({"cpu.max": "max 100000\n"}, 5),
        ({"cpu.max": "100000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 5),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ({"cpu.max": "6400000 100000\n"}, 5),
        ({}, 5),
    ],
)
def test_workers_follow_the_container_not_the_host(
    configured: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], workers: int
) -> None:
    """Red when one of the two cgroup versions is not read. The host has four processors here."""
    _write(tmp_path, files)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    assert configured()["default_workers"](tmp_path) == workers


@pytest.mark.parametrize(
    ("files", "workers", "threads"),
    [
        ({"memory.max": "max\n"}, 5, 4),
        ({"memory.max": f"{512 * 2**20}\n"}, 4, 2),
        ({"memory.max": f"{2048 * 2**20}\n"}, 5, 4),
        ({"memory.max": f"{160 * 2**20}\n"}, 1, 2),
        ({"memory.max": f"{64 * 2**20}\n"}, 1, 1),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 5, 4),
        ({"memory/memory.limit_in_bytes": f"{256 * 2**20}\n"}, 2, 1),
        ({"memory.max": f"{512 * 2**20}\n", "cpu.max": "100000 100000\n"}, 2, 4),
    ],
)
def test_workers_and_threads_fit_into_the_memory(
    configured: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    files: dict[str, str],
    workers: int,
    threads: int,
) -> None:
    """Red when the memory limit is not read: the kernel would kill workers. The host has four processors."""
    _write(tmp_path, files)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})
    module = configured()
    assert module["default_workers"](tmp_path) == workers
    assert module["default_threads"](workers, tmp_path) == threads


def test_a_large_host_without_a_limit_does_not_start_dozens(
    configured: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Red without MOST_DEFAULT_CPUS: 65."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    assert configured()["default_workers"](tmp_path) == 9


def test_the_environment_decides_when_it_says(configured: Any) -> None:
    """Red when WEB_WORKERS or WEB_THREADS is ignored."""
    result = configured(WEB_WORKERS="7", WEB_THREADS="2")
    assert (result["workers"], result["threads"]) == (7, 2)


def test_the_server_gives_a_request_as_long_as_the_environment_says(configured: Any) -> None:
    """Red when WEB_TIMEOUT is ignored or does not reach web; or without it the default is another one."""
    default = variables()["WEB_TIMEOUT"].default
    for environment, seconds in (({}, int(default[:-1])), ({"WEB_TIMEOUT": "120s"}, 120)):
        result = configured(**environment)
        assert (result["timeout"], result["graceful_timeout"]) == (seconds, seconds)
    web = yaml.safe_load((DOCKER.parent / "compose" / "prod.yaml").read_text())["services"]["web"]
    assert web["environment"]["WEB_TIMEOUT"] == f"${{WEB_TIMEOUT:-{default}}}"


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"WEB_WORKERS": "many"}, "WEB_WORKERS='many' is not a number"),
        ({"WEB_THREADS": "0"}, "WEB_THREADS='0'"),
        ({"WEB_TIMEOUT": "1m"}, "WEB_TIMEOUT='1m'"),
        ({"WEB_TIMEOUT": "0s"}, "e.g. WEB_TIMEOUT=30s"),
        ({"SERVER_TARGET": ""}, "SERVER_TARGET is empty"),
    ],
)
def test_bad_values_end_in_one_message(configured: Any, environment: dict[str, str], reason: str) -> None:
    """Red when the value is passed on: gunicorn would answer with a traceback."""
    with pytest.raises(SystemExit) as caught:
        configured(**environment)
    assert str(caught.value).startswith("SLIP-059: ")
    assert reason in str(caught.value)


def test_the_worker_fits_the_target(configured: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Red when worker_for looks at the callable's name, "asgi" anywhere in the path, or not at the source."""
    monkeypatch.chdir(tmp_path)
    assert configured(SERVER_TARGET="config.wsgi:application")["worker_class"] == "gthread"
    assert configured(SERVER_TARGET="asgi_shop.wsgi:asgi")["worker_class"] == "gthread"
    assert configured(SERVER_TARGET="config.asgi:application")["worker_class"] == "asgi"
    with pytest.raises(SystemExit, match="uvicorn-worker"):
        configured(supported={"gthread": ""}, SERVER_TARGET="config.asgi:application")
    for name in ("uvicorn", "uvicorn.workers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        sys.modules[name].__spec__ = ModuleSpec(name, None)
    assert configured(SERVER_TARGET="asgi:app")["worker_class"] == "uvicorn.workers.UvicornWorker"
    brought = ModuleType("uvicorn_worker")
    brought.__spec__ = ModuleSpec("uvicorn_worker", None)
    monkeypatch.setitem(sys.modules, "uvicorn_worker", brought)
    assert configured(SERVER_TARGET="asgi:app")["worker_class"] == "uvicorn_worker.UvicornWorker"
    (tmp_path / "routing.py").write_text("application = ProtocolTypeRouter({})\n")
    assert configured(SERVER_TARGET="routing:application")["worker_class"] == "uvicorn_worker.UvicornWorker"


def test_the_times_fit_into_each_other(configured: Any) -> None:
    """Red when nginx keeps idle upstream connections longer than gunicorn does, or compose kills sooner."""
    result = configured()
    nginx = (DOCKER.parent / "nginx" / "snippets" / "upstream-connections.conf").read_text()
    compose = (DOCKER.parent / "compose" / "prod.yaml").read_text()
    idle = int(nginx.split("keepalive_timeout ")[1].split("s;")[0])
    grace = int(compose.split("STOP_GRACE_PERIOD:-")[1].split("s}")[0])
    assert result["keepalive"] > idle
    assert result["graceful_timeout"] < grace


def test_the_server_takes_all_that_nginx_can_be_told_to_let_through(configured: Any) -> None:
    """Red when a limit is lower than the largest LARGE_CLIENT_HEADER_BUFFERS: its raw page would come.

    And not the site's. Of the number of headers nginx takes 1000.
    """
    variables()["LARGE_CLIENT_HEADER_BUFFERS"].convert("16 64k")
    server = configured(SERVER_TARGET="config.wsgi:application")
    assert server["limit_request_line"] == 0
    assert server["limit_request_field_size"] > 64 * 1024 * 8 / 5
    assert server["limit_request_fields"] > 1000 + 20
    config = SimpleNamespace(h11_max_incomplete_event_size=None)
    worker = SimpleNamespace(cfg=SimpleNamespace(timeout=0), config=config)
    server["post_worker_init"](worker)
    assert config.h11_max_incomplete_event_size > 16 * 64 * 1024
    older = SimpleNamespace(cfg=SimpleNamespace(timeout=0), config=SimpleNamespace())
    server["post_worker_init"](older)
    assert vars(older.config) == {}


def _seen(configured: Any, allowed: list[str], peer: str, forwarded: str | None) -> str:
    """The REMOTE_ADDR of a project."""
    seen: list[str] = []
    wrapped = configured()["with_client_address"](
        lambda environ, _: seen.append(environ["REMOTE_ADDR"]), allowed
    )
    header = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {}
    wrapped({"REMOTE_ADDR": peer, "REMOTE_PORT": "40000", **header}, None)
    return seen[0]


@pytest.mark.parametrize(
    ("allowed", "peer", "forwarded", "seen"),
    [
        (["*"], "172.18.0.5", "203.0.113.9", "203.0.113.9"),
        (["*"], "172.18.0.5", "2001:db8::7", "2001:db8::7"),
        (["*"], "172.18.0.5", "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (["*"], "127.0.0.1", None, "127.0.0.1"),
        (["*"], "172.18.0.5", "", "172.18.0.5"),
        (["*"], "172.18.0.5", "unknown", "172.18.0.5"),
        (["*"], "", "203.0.113.9", "203.0.113.9"),
        (["172.18.0.5", "10.0.0.0/8"], "172.18.0.5", "203.0.113.9", "203.0.113.9"),
        (["10.0.0.0/8"], "10.1.2.3", "203.0.113.9", "203.0.113.9"),
        (["localhost", "10.0.0.9/8"], "10.1.2.3", "203.0.113.9", "203.0.113.9"),
        (["localhost"], "172.18.0.5", "203.0.113.9", "172.18.0.5"),
        (["127.0.0.1", "::1"], "172.18.0.5", "203.0.113.9", "172.18.0.5"),
        (["127.0.0.1"], "", "203.0.113.9", ""),
        ([], "172.18.0.5", "203.0.113.9", "172.18.0.5"),
    ],
)
def test_the_clients_address_is_what_nginx_says(
    configured: Any, allowed: list[str], peer: str, forwarded: str | None, seen: str
) -> None:
    """Red when it is nginx's own, as gunicorn has it, or anybody who is not trusted may say it."""
    assert _seen(configured, allowed, peer, forwarded) == seen
