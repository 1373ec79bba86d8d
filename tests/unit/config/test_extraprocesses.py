"""Which processes run beside web, with which command, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.config import extraprocesses
from slipway.config.settings import load
from slipway.core.errors import SlipwayError
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.services import connections


def _load(checkout: Path, *lines: str):
    (checkout / ".env").write_text("\n".join(lines) + "\n")
    return load(checkout, environ={})


def test_no_line_no_process(checkout: Path) -> None:
    """Red when a project without any is given another file or service."""
    found = _load(checkout, "PROCESS_MEMORY=256m", "PROCESS_MAILER=")
    assert found.processes == {}
    for prod in (True, False):
        assert not any("process" in file or "beat" in file for file in Stack(found, prod).files())


def test_celery_by_the_name_of_its_app(checkout: Path) -> None:
    """Red when an option is lost, or beat writes into the working directory."""
    found = _load(checkout, "CELERY_APP=config", "CELERY_OPTIONS='-Q mails,default -c 4'")
    assert found.processes == {
        "worker": ("celery", "--app", "config", "worker", "-Q", "mails,default", "-c", "4")
    }
    found = _load(checkout, "CELERY_APP=shop.celery:app", "CELERY_BEAT=on")
    assert list(found.processes) == ["worker", "beat"]
    assert found.processes["beat"] == (
        *("celery", "--app", "shop.celery:app", "beat"),
        *("--schedule=/srv/beat/schedule", "--pidfile=", "--loglevel=INFO"),
    )
    assert Stack(found, prod=True).files()[-3:] == [
        ".slipway/processes-prod.yaml", "compose/beat.yaml", ".slipway/secrets-prod.yaml",
    ]  # fmt: skip


def test_a_line_is_a_service(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Split as a shell would, and no variable to warn of. Red when a word is lost, or the name is kept."""
    found = _load(
        checkout, "PROCESS_SEND_MAIL='sh -c \"a && b $C\" --x'", "PROCESS_RQ=python manage.py rqworker"
    )
    assert found.processes == {
        "send-mail": ("sh", "-c", "a && b $C", "--x"),
        "rq": ("python", "manage.py", "rqworker"),
    }
    assert capsys.readouterr().err == ""
    assert {"send-mail", "rq"} < set(Stack(found, prod=False).services())


@pytest.mark.parametrize(
    ("lines", "code", "parts"),
    [
        (["PROCESS_WEB=x"], "SLIP-140", [".env:1", "PROCESS_WEB", "'web'"]),
        (["PROCESS_NGINX_CONFIGURATION=x"], "SLIP-140", ["nginx-configuration"]),
        (["PROCESS_A_B=x", "PROCESS_a_B=y"], "SLIP-140", [".env:2", "'a-b'"]),
        (["PROCESS_=x"], "SLIP-140", ["PROCESS_MAILER"]),
        (["PROCESS_A__B=x"], "SLIP-140", ["no service name"]),
        ([f"PROCESS_{'A' * 41}=x"], "SLIP-140", ["no service name of at most 40"]),
        (['PROCESS_MAILER="python \'manage.py"'], "SLIP-140", ["PROCESS_MAILER", "quot"]),
        (["PROCESS_MEMROY=512m"], "SLIP-140", ["'512m'", "PROCESS_MEMORY"]),
        (["CELERY_APP=config", "PROCESS_WORKER=x"], "SLIP-140", ["PROCESS_WORKER"]),
        (["CELERY_APP=config", 'CELERY_OPTIONS="-Q \'x"'], "SLIP-140", ["CELERY_OPTIONS"]),
        (["CELERY_BEAT=on"], "SLIP-141", ["CELERY_APP"]),
        (
            ["CRON_A=15 3 * * python manage.py x"],
            "SLIP-195",
            [".env:1", "CRON_A", "'python' is no day", "15 3 * * * "],
        ),
        (["CRON_A=@daily python manage.py x"], "SLIP-195", ["CRON_A"]),
        (["CRON_A=15 3 * * *"], "SLIP-195", ["no command"]),
        (["CRON_A=python"], "SLIP-195", ["five fields"]),
        (["CRON_A=0 15 3 * * * python manage.py x"], "SLIP-195", ["has six fields"]),
        (["CRON_A=*/90 * * * * python manage.py x"], "SLIP-195", ["longer than its range"]),
        (["CRON_A=15 3 * *\u00a0* python manage.py x"], "SLIP-195", ["no-break space"]),
        (["CRON_A=15 3 30 2 * x"], "SLIP-195", ["never comes"]),
        (['CRON_A="15 3 * * * sh -c \'x"'], "SLIP-140", ["CRON_A", "quot"]),
        (["CRON_WEB=15 3 * * * x"], "SLIP-140", ["'web'"]),
        (["CRON_=15 3 * * * x"], "SLIP-140", ["CRON_CLEANUP"]),
        (["PROCESS_A=x", "CRON_A=15 3 * * * x"], "SLIP-140", [".env:2", "'a'"]),
        (["CELERY_APP=config", "CRON_BEAT=15 3 * * * x"], "SLIP-140", ["'beat'"]),
        (["EXTRA_DATABASES=Reports"], "SLIP-006", ["EXTRA_DATABASES", "'Reports'"]),
        (["EXTRA_DATABASES=a app"], "SLIP-142", ["app", "DB_NAME=app"]),
        (["EXTRA_DATABASES=a b a"], "SLIP-142", [" a, "]),
        (["EXTRA_DATABASES=postgres"], "SLIP-142", ["postgres"]),
        (["EXTRA_DATABASES=a", "DATABASE=none"], "SLIP-142", ["DATABASE=none"]),
    ],
)
def test_what_cannot_be_run_is_refused(checkout: Path, lines: list[str], code: str, parts: list[str]) -> None:
    """Red when one of these starts something else than was meant."""
    with pytest.raises(SlipwayError) as caught:
        _load(checkout, *lines)
    assert caught.value.slip_code == code
    for part in parts:
        assert part in str(caught.value)


def test_a_worker_of_ones_own_needs_no_celery(checkout: Path) -> None:
    """Red when Celery's names are taken although Celery is not used."""
    assert list(_load(checkout, "PROCESS_WORKER=python manage.py rqworker").processes) == ["worker"]


def test_a_scheduled_command_is_a_service_of_production(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red when its words are lost, development runs it, or the limits and sums do not know it."""
    found = _load(
        checkout, "CRON_SEND_MAIL='*/5 * * * mon-fri  sh -c \"a; b $C\"'", "PROCESS_RQ=x", "CRON_EMPTY=",
        "STOP_GRACE_PERIOD=50s",
    )  # fmt: skip
    assert found.scheduled_commands == {
        "send-mail": (
            *("python", "/opt/slipway/scheduled.py", "send-mail", "50", "*/5 * * * mon-fri"),
            *("sh", "-c", "a; b $C"),
        )
    }
    assert capsys.readouterr().err == ""
    assert Stack(found, prod=True).processes == ["rq", "send-mail"]
    assert Stack(found, prod=False).processes == ["rq"]
    assert ".slipway/cron-prod.yaml" in Stack(found, prod=True).files()
    assert connections.beside(found) == 2


def test_the_file_holds_commands_as_they_are(tmp_path: Path) -> None:
    """Red when Compose would take a dollar for its own."""
    template = tmp_path / "process.yaml"
    template.write_text("x-process: &process\n  init: true\n")
    text = extraprocesses.overlay(template, {"mailer": ("sh", "-c", 'echo "$A"')}, {"migrate": "c"})
    assert text.startswith("# Written by Slipway")
    assert '  mailer:\n    <<: *process\n    command: ["sh", "-c", "echo \\"$$A\\""]\n' in text
    assert '    depends_on: {"migrate": {"condition": "c"}}\n' in text


def test_the_file_is_written_where_there_are_processes(checkout: Path) -> None:
    """Red when `init` forgets it, for one of the two stacks."""
    (checkout / "compose").mkdir()
    for mode in ("dev", "prod"):
        (checkout / "compose" / f"process-{mode}.yaml").write_text(
            f"x-process: &process # {mode}\n  init: true\n"
        )
    init.record(_load(checkout))
    assert not list((checkout / ".slipway").glob("processes-*"))
    init.record(_load(checkout, "CELERY_APP=config", "REDIS=on", "CRON_A=15 3 * * * x"))
    assert '"cron:/srv/cron"' in (checkout / ".slipway" / "cron-prod.yaml").read_text()
    for mode in ("dev", "prod"):
        text = (checkout / ".slipway" / f"processes-{mode}.yaml").read_text()
        assert f"# {mode}" in text and '"redis": {"condition": "service_healthy"}' in text
