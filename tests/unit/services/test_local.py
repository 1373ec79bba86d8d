"""Serving without containers: what is installed from which file, and what the project is told."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.config.settings import Settings, load
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.services import local


def installs(folder: Path, root: Path = Path("/kit")) -> str:
    commands = local.install_commands(root, folder, root / ".slipway" / "local-venv", fresh=False)
    return "\n".join(" ".join(argv) for argv in commands)


def test_requirements_are_installed_one_file_at_a_time(tmp_path: Path) -> None:
    """Red when both files go into one call: hashes in one would be asked of the other."""
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "requirements-dev.txt").touch()
    first, second = installs(tmp_path).splitlines()
    assert first.endswith(f"-r {tmp_path}/requirements.txt")
    assert second.endswith(f"-r {tmp_path}/requirements-dev.txt")


@pytest.mark.parametrize(
    ("lock", "tool"),
    [("uv.lock", "uv export"), ("poetry.lock", "poetry export"), ("Pipfile.lock", "pipenv requirements")],
)  # fmt: skip
def test_a_lock_file_is_exported_and_wins_over_requirements(tmp_path: Path, lock: str, tool: str) -> None:
    """Red when the order of the image build is not kept."""
    (tmp_path / lock).touch()
    (tmp_path / "requirements.txt").touch()
    script = installs(tmp_path)
    assert tool in script
    assert script.endswith("-r /kit/.slipway/local-requirements.txt")
    assert f"{tmp_path}/requirements.txt" not in script


@pytest.mark.parametrize("tool", ["poetry", "pipenv"])
def test_the_tools_that_read_a_lock_are_pinned(tmp_path: Path, tool: str) -> None:
    """Red when Poetry or Pipenv is installed without hashes."""
    (tmp_path / {"poetry": "poetry.lock", "pipenv": "Pipfile.lock"}[tool]).touch()
    assert f"--require-hashes -r /kit/docker/requirements/{tool}.txt" in installs(tmp_path)


def test_nothing_to_install_from_is_refused(tmp_path: Path) -> None:
    """Red when an empty environment is made and Django is then not found."""
    with pytest.raises(SlipwayError) as caught:
        installs(tmp_path)
    assert caught.value.slip_code == "SLIP-032"
    assert str(tmp_path) in caught.value.problem


@dataclass(frozen=True)
class Recorder(Runner):
    """Remembers each command with its folder and environment."""

    calls: list[tuple[list[str], str | None, dict[str, str]]] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], *, check: bool = True, cwd: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        self.calls.append((list(argv), cwd, dict(self.env)))
        return subprocess.CompletedProcess(list(argv), 0, "", "")


@pytest.fixture
def project(checkout: Path) -> Settings:
    (checkout / ".env").write_text("WEB_PORT=18765\n")
    (checkout / "example" / "requirements.txt").touch()
    (checkout / "app.local.env").write_text("DEBUG=1\nSECRET_KEY={{secret:secret_key}}\n")
    (checkout / "secrets").mkdir()
    (checkout / "secrets" / "secret_key").write_text("a-long-random-value-of-this-test\n")
    return load(checkout, environ={})


def test_the_project_is_migrated_and_served_with_its_own_environment(project: Settings) -> None:
    """Red when migrate is left out, or {{secret:NAME}} reaches the project unfilled."""
    runner = Recorder()
    local.up(project, runner)
    python = str(project.root / ".slipway/local-venv/bin/python")
    migrate, serve = runner.calls[-2:]
    assert migrate[0] == [python, "manage.py", "migrate", "--noinput"]
    assert serve[0] == [python, "manage.py", "runserver", "127.0.0.1:18765"]
    for _, folder, environment in (migrate, serve):
        assert folder == str(project.root / "example")
        assert environment["SECRET_KEY"] == "a-long-random-value-of-this-test"
        assert environment["DEBUG"] == "1"
        assert environment["DJANGO_SETTINGS_MODULE"] == "config.settings"


def test_the_projects_secrets_do_not_reach_the_installers(project: Settings) -> None:
    """Red when one environment serves both."""
    runner = Recorder()
    local.up(project, runner)
    for argv, _, environment in runner.calls[:-2]:
        assert "SECRET_KEY" not in environment, argv


def test_a_missing_secret_is_named(project: Settings) -> None:
    """Red when secretfiles.check is not called: then it ends in a traceback."""
    (project.root / "secrets" / "secret_key").unlink()
    with pytest.raises(SlipwayError) as caught:
        local.up(project, Recorder())
    assert caught.value.slip_code == "SLIP-010"


def test_a_taken_port_is_named_where_no_engine_answers(
    project: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when ports.check lets the missing engine's own error through."""

    def no_engine(port: int) -> None:
        raise SlipwayError("SLIP-062", "no engine", "")

    monkeypatch.setattr("slipway.engine.engine.publisher", no_engine)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(SlipwayError) as caught:
            local.up(replace(project, web_port=taken), Recorder())
    assert caught.value.slip_code == "SLIP-063"
    assert str(taken) in caught.value.problem
