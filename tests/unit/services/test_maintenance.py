"""The maintenance task: its commands, what it prints, what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence

import pytest

from slipway.config.settings import Settings
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services.maintenance import MESSAGE, maintenance

_EXEC = ["exec", "-T", "nginx", "/srv/nginx/live/bin/maintenance"]
_ONE_OFF = [
    *("run", "--rm", "--no-deps", "-T"),
    *("--entrypoint", "/opt/nginx/bin/maintenance", "nginx-configuration"),
]
_SINCE = "2026-01-31T12:00:00Z"


class _Recorder(Runner):
    """Runs nothing, remembers what it was to run, and answers questions with ``status``."""

    def __init__(self, status: str) -> None:
        super().__init__()
        self.status = status
        self.ran: list[list[str]] = []

    def run(
        self, argv: Sequence[str], *, check: bool = True, cwd: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.ran.append(list(argv))
        return subprocess.CompletedProcess(list(argv), 0, "", "")

    def capture(
        self, argv: Sequence[str], *, check: bool = False, timeout: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        assert check
        assert list(argv)[-1] == "status"
        return subprocess.CompletedProcess(list(argv), 0, f"{self.status}\n", "")


def _call(
    settings: Settings,
    word: str,
    *,
    status: str = "off",
    prod: bool = True,
    retry_after: str = "300",
    message: str = "",
    as_json: bool = False,
) -> list[list[str]]:
    runner = _Recorder(status)
    session = Session(Stack(settings, prod), runner)
    maintenance(session, word, retry_after=retry_after, message=message, as_json=as_json)
    flags = len(session.stack.command())
    return [argv[flags:] for argv in runner.ran]


@pytest.fixture
def nginx_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "running", lambda project, service: service == "nginx")


@pytest.fixture
def nginx_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "running", lambda project, service: False)
    monkeypatch.setattr(engine, "image_sizes", lambda references: dict.fromkeys(references, 1))


@pytest.mark.usefixtures("nginx_runs")
def test_the_switch_is_thrown_in_the_running_container(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when the time or the message does not reach the script, or `status` changes something."""
    said = f"on {_SINCE} 600"
    assert _call(settings, "on", status=said, retry_after="600", message="Soon: <1 h") == [
        [*_EXEC, "on", "600", "Soon: <1 h"]
    ]
    assert capsys.readouterr().out == f"maintenance is on since {_SINCE}, Retry-After: 600 s\n"
    assert _call(settings, "on", status=said) == [[*_EXEC, "on", "300", MESSAGE]]
    assert _call(settings, "off") == [[*_EXEC, "off"]]
    capsys.readouterr()
    assert _call(settings, "status") == []
    assert capsys.readouterr().out == "maintenance is off\n"


@pytest.mark.usefixtures("nginx_is_stopped")
def test_a_stopped_nginx_gets_a_one_off_beside_its_volume(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when the one-off starts what nginx depends on, or the person is not told."""
    assert _call(settings, "on", status=f"on {_SINCE} 300") == [[*_ONE_OFF, "on", "300", MESSAGE]]
    assert "nginx does not run" in capsys.readouterr().out


@pytest.mark.usefixtures("nginx_runs")
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("off", {"maintenance": "off", "since": None, "retry_after": None}),
        (f"on {_SINCE} 60", {"maintenance": "on", "since": _SINCE, "retry_after": 60}),
    ],
)
def test_scripts_get_json(
    settings: Settings, capsys: pytest.CaptureFixture[str], status: str, expected: dict[str, object]
) -> None:
    """Red when --json prints words."""
    _call(settings, "status", status=status, as_json=True)
    assert json.loads(capsys.readouterr().out) == expected


@pytest.mark.usefixtures("nginx_runs")
@pytest.mark.parametrize(
    ("word", "options", "parts"),
    [
        ("onn", {}, ["SLIP-073", "'onn'", "maintenance on --prod"]),
        ("on", {"prod": False}, ["SLIP-074", "invoke maintenance on --prod"]),
        ("on", {"retry_after": "soon"}, ["SLIP-075", "--retry-after", "'soon'", "600"]),
        ("on", {"retry_after": "0"}, ["SLIP-075", "from 1 to"]),
        ("on", {"message": "two\nlines"}, ["SLIP-075", "--message", "one line"]),
    ],
)
def test_what_makes_no_sense_is_refused(
    settings: Settings, word: str, options: dict[str, str], parts: list[str]
) -> None:
    """Red when a word or value is passed on unchecked."""
    with pytest.raises(SlipwayError) as caught:
        _call(settings, word, **options)  # type: ignore[arg-type]
    for part in parts:
        assert part in str(caught.value)


def test_without_an_image_it_says_what_to_build(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when Compose's own message about a missing image is all there is."""
    monkeypatch.setattr(engine, "running", lambda project, service: False)
    monkeypatch.setattr(engine, "image_sizes", lambda references: {})
    with pytest.raises(SlipwayError, match=r"SLIP-076(.|\n)*invoke build --prod"):
        _call(settings, "status")
