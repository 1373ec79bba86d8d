"""When and from what static files are collected, and what a project that does not import is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from imagekit import PROJECTS, World, copy_of_project, docker, eventually, plant

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


def test_a_project_without_the_app_collects_nothing(world: World, tmp_path: Path) -> None:
    """Red when "Unknown command" is taken for a failure: an API has no static files."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write("INSTALLED_APPS = []\nSTATIC_ROOT = None\n")
    image = world.image("web", project)
    said = docker("run", "--rm", image, "python", "/opt/slipway/publish_static.py")
    assert said == "COLLECTSTATIC=build: nothing to publish"


def test_no_manage_py_names_the_variable(world: World, tmp_path: Path) -> None:
    """Red when manage() does not look first: the message would be Python's, about a file in /app."""
    copy_of_project("plain", tmp_path / "repository" / "src")
    output = world.failure("web", tmp_path / "repository", DEPENDENCY_DIR="src")
    assert "SLIP-057: there is no manage.py in /app" in output
    assert "MANAGE_DIR" in output


def test_skip_asks_nothing_of_the_settings(world: World, tmp_path: Path) -> None:
    """Red when the mode is not read before the settings are; a release then says what is wrong with them."""
    project = copy_of_project("plain", tmp_path / "plain")
    (project / "config" / "settings.py").write_text("import no_such_module_here\n")
    image = world.image("web", project, COLLECTSTATIC="skip")
    publish = "python /opt/slipway/publish_static.py 2>&1"
    published = docker("run", "--rm", image, "sh", "-c", publish)
    assert "No module named 'no_such_module_here'" in published


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


def test_a_static_root_outside_the_tree_is_collected_and_published(world: World, tmp_path: Path) -> None:
    """Red when a root at the top of the file system or AFTER_COLLECTSTATIC is not followed, a difference
    of the variables goes unsaid, or the kit's variables reach the project."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write(
            "STATIC_ROOT = '/staticfiles'\nSTATIC_URL = 's/'\nassert 'STATIC_URL' not in os.environ\n"
            # A step taken from the cache of an earlier run says nothing.
            f"# {world.name}\n"
        )
    after = "echo made > /staticfiles/made.txt && python manage.py check"
    image, done = world.build("web", project, AFTER_COLLECTSTATIC=after)
    assert done.returncode == 0, done.stdout
    assert "warning: SLIP-133: the project's STATIC_URL is /s/, but nginx serves" in done.stdout
    options = ("--volume", f"{world.volume()}:/srv/static", "--read-only")
    said = docker("run", "--rm", *options, image, "python", "/opt/slipway/publish_static.py")
    assert "2 new" in said
    assert world.run(image, "ls", "/srv/static", options=options).split() == ["made.txt", "site.css"]


def test_a_root_that_a_mount_hides_is_published(world: World, tmp_path: Path) -> None:
    """Red when place_for knows no HIDDEN: a second release's files would never reach the volume."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write("STATIC_ROOT = '/srv/static'\n")
    image = world.image("web", project)
    options = ("--volume", f"{world.volume()}:/srv/static", "--read-only")
    # As an earlier release has left it.
    show = (
        "rm -f /srv/static/* && python /opt/slipway/publish_static.py >/dev/null && cat /srv/static/site.css"
    )
    assert "color" in docker("run", "--rm", *options, image, "sh", "-c", show)


def test_a_committed_folder_is_published_as_it_is(world: World, tmp_path: Path) -> None:
    """Red when `skip` publishes nothing, collects, compresses, or .dockerignore leaves the folder out."""
    project = copy_of_project("plain", tmp_path / "plain")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write("STATIC_ROOT = BASE_DIR / 'staticfiles'\n")
    plant(project / "staticfiles", {"css/committed.css": "p {}\n" * 500, "js/app.js": "1"})
    image = world.image("web", project, COLLECTSTATIC="skip")
    options = ("--volume", f"{world.volume()}:/srv/static", "--read-only")
    docker("run", "--rm", *options, image, "python", "/opt/slipway/publish_static.py")
    for folder in ("/app/staticfiles", "/srv/static"):
        listing = world.run(image, "sh", "-c", f"cd {folder} && find . -type f | sort", options=options)
        assert listing.split() == ["./css/committed.css", "./js/app.js"], folder


def test_a_missing_reference_is_named(world: World, tmp_path: Path) -> None:
    """Red without MISSING_REFERENCE: the last line would be Django's, about an object at an address."""
    project = copy_of_project("plain", tmp_path / "plain")
    (project / "assets" / "site.css").write_text("p { background: url(no/such.png) }\n")
    storage = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write(f"STORAGES = {{'staticfiles': {{'BACKEND': '{storage}'}}}}\n")
    output = world.failure("web", project)
    assert "SLIP-134: site.css refers to no/such.png, which is not among the static files" in output
