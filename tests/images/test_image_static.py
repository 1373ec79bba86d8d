"""When and from what static files are collected, and what a project that does not import is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from imagekit import PROJECTS, World, copy_of_project, docker, eventually

CHANGES = {
    "settings that do not import": (
        "import no_such_module_here\n",
        "ModuleNotFoundError: No module named 'no_such_module_here'",
    ),
    "settings that ask the network": (
        "import socket\nsocket.create_connection(('192.0.2.1', 9), 5)\n",
        "OSError: [Errno 101] Network is unreachable",
    ),
    "no STATIC_ROOT": ("STATIC_ROOT = None\n", "the project sets no STATIC_ROOT"),
    "STATIC_ROOT is the project": ("STATIC_ROOT = BASE_DIR\n", "which holds the project itself"),
    "no staticfiles app": ("INSTALLED_APPS = []\n", "Unknown command: 'collectstatic'"),
}


@pytest.mark.parametrize(("addition", "reason"), CHANGES.values(), ids=CHANGES)
def test_the_reason_ends_the_output(world: World, tmp_path: Path, addition: str, reason: str) -> None:
    """Red when require_success does not repeat the traceback's last line as its own last one."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write(addition)
    output = world.failure("web", project)
    printed = re.findall(r"^#\d+ \d+\.\d+ (.*)", output, re.MULTILINE)
    assert "SLIP-057: " in "".join(printed[-2:])
    assert re.match(r"(SLIP-057: |  manage.py [a-z -]+: )", printed[-1])
    assert reason in printed[-1]


def test_no_manage_py_names_the_variable(world: World, tmp_path: Path) -> None:
    """Red when manage() does not look first: the message would be Python's, about a file in /app."""
    copy_of_project("plain", tmp_path / "repository" / "src")
    output = world.failure("web", tmp_path / "repository", DEPENDENCY_DIR="src")
    assert "SLIP-057: there is no manage.py in /app" in output
    assert "MANAGE_DIR" in output


def test_skip_asks_nothing_of_the_settings(world: World, tmp_path: Path) -> None:
    """Red when the mode is not read before the settings are."""
    project = copy_of_project("plain", tmp_path / "plain")
    (project / "config" / "settings.py").write_text("import no_such_module_here\n")
    image = world.image("web", project, COLLECTSTATIC="skip")
    published = docker("run", "--rm", image, "python", "/opt/slipway/publish_static.py")
    assert published == "COLLECTSTATIC=skip: nothing to publish"


def test_start_collects_with_the_containers_environment(world: World, tmp_path: Path) -> None:
    """Red when publish_static.py publishes what the build left, of which there is none."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write("STATIC_ROOT = '/srv/static' if os.environ['STATIC_HERE'] else None\n")
    image = world.image("web", project, COLLECTSTATIC="start")
    options = ("--volume", f"{world.volume()}:/srv/static", "--read-only", "--env", "STATIC_HERE=1")
    docker("run", "--rm", *options, image, "python", "/opt/slipway/publish_static.py")
    assert "color" in world.run(image, "cat", "/srv/static/site.css", options=options)


def test_a_changed_file_replaces_its_old_compressed_form(world: World, tmp_path: Path) -> None:
    """Red when _drop_stale_compressed goes: nginx would serve the .gz of the earlier release."""
    project = copy_of_project("plain", tmp_path / "plain")
    sheet = project / "assets" / "site.css"
    sheet.write_text("p { color: #123; }\n" * 200)
    large = world.image("web", project)
    sheet.write_text("p { color: red; }\n")
    small = world.image("web", project)
    options = ("--volume", f"{world.volume()}:/srv/static")
    listings = []
    for image in (large, small):
        docker("run", "--rm", *options, image, "python", "/opt/slipway/publish_static.py")
        listings.append(world.run(image, "ls", "-A", "/srv/static", options=options).split())
    assert listings == [["site.css", "site.css.gz"], ["site.css"]]
    assert "red" in world.run(small, "cat", "/srv/static/site.css", options=options)


def test_the_settings_module_of_the_build_argument_is_used(world: World, tmp_path: Path) -> None:
    """Red when the stage `runtime` does not depend on DJANGO_SETTINGS_MODULE."""
    project = copy_of_project("plain", tmp_path / "plain")
    (project / "config" / "production.py").write_text(
        "from .settings import *\nSTATIC_ROOT = '/srv/elsewhere'\n"
    )
    image = world.image("web", project, DJANGO_SETTINGS_MODULE="config.production")
    assert world.run(image, "cat", "/opt/slipway/static-root") == "/srv/elsewhere"
    assert world.run(image, "ls", "/srv/elsewhere") == "site.css"


def test_another_environment_digest_collects_again(world: World, tmp_path: Path) -> None:
    """Red when ARG APP_ENV_DIGEST goes: BuildKit does not look into secrets."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write("STATIC_ROOT = os.environ.get('ROOT_FROM_ENV', '/srv/none')\n")
    roots = []
    for root in ("/srv/one", "/srv/two"):
        (tmp_path / "app.env").write_text(f"ROOT_FROM_ENV={root}\n")
        image = world.image(
            "web", project, secrets={"app_env": tmp_path / "app.env"}, APP_ENV_DIGEST=root[-3:]
        )
        roots.append(world.run(image, "cat", "/opt/slipway/static-root"))
    assert roots == ["/srv/one", "/srv/two"]


@pytest.mark.parametrize("target", ["config.wsgi:application", "config.asgi:application"])
def test_both_kinds_of_target_serve(world: World, target: str) -> None:
    """Red when worker_for always answers "gthread": no ASGI callable understands it."""
    image = world.image("web", PROJECTS / "plain", SERVER_TARGET=target)
    container = world.start(image, "--read-only", "--tmpfs", "/tmp")

    def answer() -> str:
        try:
            return docker("exec", container, "python", "/opt/slipway/probe.py")
        except AssertionError:
            return ""

    assert eventually("the probe is answered", answer) == "/healthz/live: HTTP/1.1 200 OK"
    docker("stop", "--time", "30", container)
    assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "0"
