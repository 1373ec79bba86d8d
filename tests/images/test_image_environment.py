"""A project with habits, unchanged: variables it requires, files it writes at import, fixed settings."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from imagekit import PROJECTS, World, copy_of_project, docker, eventually

HABITS = PROJECTS / "habits"
COMPLETE = "API_TOKEN=x\nBATCH=5\nPEERS=a,b\nPAGE_SIZE=3\n"
OVERLAY = {"names": ["ALLOWED_HOSTS", "DEBUG", "STATIC_ROOT", "SECRET_KEY"], "hosts": ["example.org"]}
ARGUMENTS = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "DATA_PATHS": "db.sqlite3 keep/ /var/lib/habits",
    "SLIPWAY_OVERLAY": json.dumps(OVERLAY),
}


def secret(tmp_path: Path, text: str) -> dict[str, Path]:
    (tmp_path / "app.env").write_text(text)
    return {"app_env": tmp_path / "app.env"}


@pytest.fixture(scope="module")
def image(world: World, tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("habits")
    return world.image("web", HABITS, secrets=secret(place, COMPLETE), APP_ENV_DIGEST="complete", **ARGUMENTS)


@pytest.fixture
def options(tmp_path: Path) -> tuple[str, ...]:
    """What production gives a container: a read-only root, /tmp, the secrets and the variables."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "secret_key").write_text("k3y\n")
    (folder / "secret_key").chmod(0o444)
    variables = [*COMPLETE.split(), f"SLIPWAY_OVERLAY={json.dumps(OVERLAY)}"]
    return (
        "--read-only", "--tmpfs", "/tmp:mode=1777,size=64m", "--cap-drop", "ALL",
        "--volume", f"{folder}:/run/secrets:ro",
        *(word for variable in variables for word in ("--env", variable)),
    )  # fmt: skip


def test_everything_that_is_missing_is_named_at_once(world: World, tmp_path: Path) -> None:
    """Red when first_import.py does not go on after the first name, or leaves the URLs out."""
    given = secret(tmp_path, "PEERS=a\n")
    output = world.failure("web", HABITS, secrets=given, APP_ENV_DIGEST="incomplete", **ARGUMENTS)
    assert (
        "SLIP-137: the project needs variables that app.env does not set: API_TOKEN, BATCH, PAGE_SIZE; fix:"
        in output
    )
    assert "/app/config/urls.py:7: PAGE_SIZE" in output


def test_what_is_written_lasts_or_goes_as_it_should(
    world: World, image: str, options: tuple[str, ...]
) -> None:
    """Red when a link is missing (Errno 30), the first content is, or DATA_PATHS is not in the volume."""
    mounted = (*options, "--volume", f"{world.volume()}:/srv/data")

    def run(*command: str) -> str:
        return docker("run", "--rm", *mounted, image, *command)

    run("python", "/opt/slipway/migrate.py")
    run("sh", "-c", "echo second >keep/second.txt; echo other >keep/first.txt; echo x >/var/lib/habits/x")
    script = (
        "import logging; logging.getLogger('habits').warning('seen by the engine')\n"
        "from django.contrib.auth.models import User; User.objects.create_user('ann')\n"
        "print(User.objects.count())"
    )
    counts = [run("python", "manage.py", "shell", "-v", "0", "-c", script) for _ in range(1)]
    assert counts == ["1"]
    look = "cat keep/*.txt /var/lib/habits/x seed/counter.txt key.txt logs/started.txt; ls logs/debug.log"
    assert run("sh", "-c", f"python manage.py check >/dev/null && {look}").split() == [
        "other", "second", "x", "0", "1generatedyeslogs/debug.log",
    ]  # fmt: skip
    users = "from django.contrib.auth.models import User; print(User.objects.get().username)"
    assert run("python", "manage.py", "shell", "-v", "0", "-c", users) == "ann"
    assert run("readlink", "-f", "db.sqlite3") == "/srv/data/app/db.sqlite3"
    container = world.start(image, *mounted, "--env", "DJANGO_LOG=1", "--env", "HEALTH_HOST=example.org")
    probe = ("exec", container, "python", "/opt/slipway/probe.py")

    def answer() -> str:
        try:
            return docker(*probe)
        except AssertionError:
            return ""

    assert "200" in eventually("the overlay's host is answered", answer)
    docker("exec", container, "python", "/opt/slipway/entrypoint.py", "python", "-c", (
        "import django, logging; django.setup(); logging.getLogger('habits').warning('x')"
    ))  # fmt: skip
    served = docker("exec", container, "python", "-c", (
        "import urllib.request as u; address = 'http://127.0.0.1:8000/healthz/live';"
        "r = u.Request(address, headers={'Host': 'example.org'});"
        "print(u.urlopen(r).read().decode())"
    ))  # fmt: skip
    assert json.loads(served) == {"debug": False, "hosts": ["example.org"], "batch": 5}


def test_a_start_without_a_variable_says_which(world: World, image: str, options: tuple[str, ...]) -> None:
    """Red when migrate.py or worker_exit of gunicorn.conf.py does not ask explain_failure."""
    mounted = (*options, "--volume", f"{world.volume()}:/srv/data", "--env", "BATCH=")
    said = []
    for command in (["python", "/opt/slipway/migrate.py"], []):
        container = docker("run", "--detach", "--label", world.name, *mounted, image, *command)
        docker("wait", container)
        said.append(docker("logs", container) + _errors(container))
    for text in said:
        assert "SLIP-137: the project needs variables that app.env does not set: BATCH; fix:" in text


def test_a_write_without_a_place_names_the_variable(world: World, image: str, tmp_path: Path) -> None:
    """Red when explain_failure does not know an error of the file system."""
    project = copy_of_project("plain", tmp_path / "plain")
    settings = project / "config" / "settings.py"
    settings.write_text(
        settings.read_text()
        + "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': BASE_DIR / 'site.db'}}\n"
        "INSTALLED_APPS += ['django.contrib.contenttypes']\n"
    )
    bare = world.image("web", project, DJANGO_SETTINGS_MODULE="config.settings")
    container = docker(
        "run", "--detach", "--label", world.name, "--read-only", "--tmpfs", "/tmp", bare,
        "python", "/opt/slipway/migrate.py",
    )  # fmt: skip
    assert docker("wait", container) == "1"
    assert "SLIP-139: the project writes to /app/site.db" in _errors(container)
    assert "DATA_PATHS=site.db" in _errors(container)


@pytest.mark.parametrize("file", ["manage.py", "config/wsgi.py"])
def test_a_project_that_undoes_the_overlay_is_refused(world: World, tmp_path: Path, file: str) -> None:
    """Red when require_overlay goes: the site would serve with DEBUG as the file has it."""
    project = Path(shutil.copytree(HABITS, tmp_path / "habits"))
    text = (project / file).read_text()
    fixed = 'os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"'
    (project / file).write_text(
        text.replace('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")', fixed)
    )
    output = world.failure("web", project, secrets=secret(tmp_path, COMPLETE), **ARGUMENTS)
    assert f"SLIP-138: SETTINGS_OVERLAY has no effect: {file}" in output


@pytest.mark.parametrize("mode", ["build", "skip"])
def test_debug_is_refused_unless_it_is_meant(world: World, tmp_path: Path, mode: str) -> None:
    """Red when the build does not ask Django, or ALLOW_DEBUG is not passed on."""
    project = Path(shutil.copytree(PROJECTS / "plain", tmp_path / "plain"))
    settings = project / "config" / "settings.py"
    settings.write_text(settings.read_text().replace("DEBUG = False", "DEBUG = len(__file__) > 1"))
    output = world.failure("web", project, COLLECTSTATIC=mode)
    assert "SLIP-178: production would run with DEBUG = True" in output
    world.image("web", project, COLLECTSTATIC=mode, ALLOW_DEBUG="on")


def _errors(container: str) -> str:
    """What it wrote to standard error, which the helper ``docker`` leaves out."""
    return subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=True).stderr
