"""What the production image is, has and has not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from imagekit import KIT, PYTHON_IMAGE, World, config, docker, environment, eventually

# To what the base image has: venv, code and collected files, less what production leaves out of that image. A
# two-stage pip build adds 75 MB.
ADDED_AT_MOST = 40_000_000

LEFTOVERS = """
import pathlib, shutil, sys
names = ["gcc", "cc", "make", "git", "uv", "curl", "poetry", "pipenv", "pip"]
found = [name for name in names if shutil.which(name)]
venv = pathlib.Path("/opt/venv")
found += [str(p) for p in venv.glob("bin/*") if p.name.startswith(("pip", "uv", "wheel"))]
found += [str(p) for p in venv.rglob("*.po")]
found += [str(p) for p in pathlib.Path("/app").rglob("*") if p.name in ("tests", "tests.py", ".git")]
for cache in ("/root/.cache", "/tmp/.cache", "/opt/tools", "/kit", "/kit-env", "/project", "/out"):
    found += [cache] if pathlib.Path(cache).exists() else []
for cache in ("/run/secrets", "/var/lib/apt/lists", "/var/cache/apt/archives"):
    found += [str(p) for p in pathlib.Path(cache).rglob("*") if p.is_file() and p.name != "lock"]
print("\\n".join(found))
"""

BYTECODE = """
import importlib.util, pathlib, sysconfig
def valid(source):  # as the import system judges it: the header holds the source's time and size
    cached = pathlib.Path(importlib.util.cache_from_source(str(source)))
    if not cached.is_file():
        return False
    _, flags, time, size = (int.from_bytes(cached.read_bytes()[n : n + 4], "little") for n in (0, 4, 8, 12))
    status = source.stat()
    return flags == 0 and (time, size) == (int(status.st_mtime), status.st_size)
folders = {
    "code": pathlib.Path("/app"),
    "venv": pathlib.Path("/opt/venv/lib"),
    "stdlib": pathlib.Path(sysconfig.get_path("stdlib")),
}
for name, folder in folders.items():
    sources = [p for p in folder.rglob("*.py") if "-packages" not in str(p) or name == "venv"]
    if name == "stdlib":  # what a server imports of it
        sources = [folder / f for f in ("os.py", "json/decoder.py", "http/server.py", "asyncio/events.py")]
    missing = [p for p in sources if not valid(p)]
    assert sources, name
    print(name, len(sources), *missing[:5])
"""


def test_runs_as_the_numeric_user_with_an_exec_form_command(web: str) -> None:
    """Red when USER is a name or missing, or CMD is written without brackets."""
    settings = config(web)
    assert settings["User"] == "10001:10001"
    assert settings["Entrypoint"] == ["/opt/venv/bin/python", "-IS", "/opt/slipway/entrypoint.py"]
    assert settings["Cmd"] == [
        "sh",
        "-c",
        'exec gunicorn --config /opt/slipway/gunicorn.conf.py "$SERVER_TARGET"',
    ]
    assert settings["WorkingDir"].rstrip("/.") == "/app"


@pytest.mark.parametrize("image", ["web", "dev"])
def test_labels_name_the_release_and_the_revision(image: str, request: pytest.FixtureRequest) -> None:
    """Red when the LABEL lines of a target go."""
    name = request.getfixturevalue(image)
    labels = config(name)["Labels"]
    assert labels["org.opencontainers.image.revision"] == "0123abc"
    assert labels["org.opencontainers.image.version"] == "r-1"
    assert environment(name)["RELEASE"] == "r-1"


def test_an_empty_settings_module_leaves_the_variable_unset(web: str) -> None:
    """Red when ENV DJANGO_SETTINGS_MODULE stands in the base stage: it would be set to nothing."""
    assert "DJANGO_SETTINGS_MODULE" not in environment(web)


def test_no_tools_caches_tests_or_sources_of_translations(world: World, web: str) -> None:
    """Red when drop_translation_sources or `**/tests` of .dockerignore goes, or uv gets into the venv."""
    found = world.run(web, "python", "-c", LEFTOVERS, options=("--user", "0"))
    assert found == ""


def test_bytecode_is_there_for_code_environment_and_standard_library(world: World, web: str) -> None:
    """Red when compileall, UV_COMPILE_BYTECODE or compile-stdlib (on the official image) goes."""
    for line in world.run(web, "python", "-c", BYTECODE).splitlines():
        _, count, *missing = line.split()
        assert int(count) > 3
        assert missing == []


def test_a_base_image_without_bytecode_is_compiled(world: World, tmp_path: Path) -> None:
    """Red when the stage `compiled` does not run compile-stdlib. The official image has none."""
    (tmp_path / "Dockerfile").write_text(
        f"FROM {PYTHON_IMAGE}\nRUN find / -xdev -name '*.pyc' -delete\n", encoding="utf-8"
    )
    bare = f"{world.name}:bare"
    docker("build", "--quiet", "--tag", bare, str(tmp_path))
    world.images.add(bare)
    compiled = world.image("production-root", KIT / "example", PYTHON_IMAGE=bare)
    count = "find / -xdev -path '*/json/__pycache__/decoder.*.pyc' | wc -l"
    assert world.run(bare, "sh", "-c", count) == "0"
    assert world.run(compiled, "sh", "-c", count) == "1"


def test_static_files_are_collected_and_compressed(world: World, web: str) -> None:
    """Red when precompress is not called, or the tree is copied beside STATIC_ROOT."""
    checks = (
        "import gzip, json, pathlib\n"
        "root = pathlib.Path(pathlib.Path('/opt/slipway/static-root').read_text().strip())\n"
        "hashed = json.loads((root / 'staticfiles.json').read_text())['paths']['admin/css/base.css']\n"
        "plain = (root / hashed).read_bytes()\n"
        "packed = (root / (hashed + '.gz')).read_bytes()\n"
        "print(root, hashed, len(packed) < len(plain), gzip.decompress(packed) == plain,\n"
        "      (root / hashed).stat().st_mtime == (root / (hashed + '.gz')).stat().st_mtime)\n"
    )
    root, hashed, *same = world.run(web, "python", "-c", checks).split()
    assert root == "/app/staticfiles"
    assert hashed.startswith("admin/css/base.") and hashed != "admin/css/base.css"
    assert same == ["True", "True", "True"]


def test_code_belongs_to_root_and_volumes_to_the_user(world: World, web: str) -> None:
    """Red when `install --directory --owner` goes: a fresh volume would belong to root."""
    static, media = world.volume(), world.volume()
    mounts = ("--volume", f"{static}:/srv/static", "--volume", f"{media}:/app/media")
    owners = world.run(
        web, "stat", "-c", "%u %n", "/app/manage.py", "/srv/static", "/app/media", options=mounts
    )
    assert owners.splitlines() == ["0 /app/manage.py", "10001 /srv/static", "10001 /app/media"]


def test_serves_on_a_read_only_root_and_stops_with_exit_0(world: World, web: str) -> None:
    """Red with CMD in shell form (exit 137), with the control socket on (an ERROR at start), or when
    the entrypoint starts a child instead of becoming the command."""
    container = world.start(
        web, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
        "--env", "SECRET_KEY=x", "--env", "ALLOWED_HOSTS=localhost",
    )  # fmt: skip
    probe = ("exec", container, "python", "/opt/slipway/probe.py", "/healthz/live")

    def healthy() -> bool:
        try:
            return "200" in docker(*probe)
        except AssertionError:
            return False

    eventually("the probe answers 200", healthy)
    command = docker("exec", container, "cat", "/proc/1/cmdline")
    docker("stop", "--time", "30", container)
    state = json.loads(docker("inspect", container))[0]["State"]
    assert "gunicorn" in command
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


def test_the_secret_is_in_the_process_and_not_in_inspect(world: World, web: str, tmp_path: Path) -> None:
    """Red when the entrypoint passes values on unresolved."""
    (tmp_path / "token").write_text("s3cret-value\n")
    (tmp_path / "token").chmod(0o444)
    options = ("--volume", f"{tmp_path}/token:/run/secrets/token:ro", "--env", "URL=x://u:{{secret:token}}@h")
    printed = docker("run", "--rm", *options, web, "python", "-c", "import os; print(os.environ['URL'])")
    assert printed == "x://u:s3cret-value@h"


def test_the_number_of_workers_follows_the_cpu_limit(world: World, web: str) -> None:
    """Red when default_workers reads the host's count: it is the same for every limit then."""
    read = "import runpy; print(runpy.run_path('/opt/slipway/gunicorn.conf.py')['workers'])"
    by_limit = {
        limit: world.run(web, "python", "-c", read, options=("--cpus", limit)) for limit in ("0.5", "1.5")
    }
    assert by_limit == {"0.5": "2", "1.5": "3"}


def test_gunicorn_accepts_its_configuration(web: str) -> None:
    """Red with a setting gunicorn refuses, e.g. keepalive = "long"."""
    command = ("gunicorn", "--config", "/opt/slipway/gunicorn.conf.py", "--check-config")
    docker("run", "--rm", "--env", "SECRET_KEY=x", web, *command)


def test_stays_within_its_size(web: str) -> None:
    """Red when the stage `production` stands on `runtime`, or copies from `build`."""
    assert config(web)["Size"] - config(PYTHON_IMAGE)["Size"] < ADDED_AT_MOST


def test_publishing_keeps_old_files_and_touches_no_equal_ones(world: World, web: str) -> None:
    """Red when publish() empties the volume first, or copies what did not change."""
    volume = world.volume()
    mount = ("--volume", f"{volume}:/srv/static", "--read-only")
    world.run(web, "sh", "-c", "echo old >/srv/static/app.0123456789ab.css", options=mount)
    first = docker("run", "--rm", *mount, web, "python", "/opt/slipway/publish_static.py")
    second = docker("run", "--rm", *mount, web, "python", "/opt/slipway/publish_static.py")
    kept = world.run(web, "cat", "/srv/static/app.0123456789ab.css", options=mount)
    assert " 0 updated, 0 unchanged" in first and ": 0 new" not in first
    assert ": 0 new, 0 updated, " in second
    assert kept == "old"


def test_a_new_release_of_the_same_code_makes_no_new_layer(world: World, web: str, app_env: Path) -> None:
    """Red when ARG RELEASE moves above a COPY or RUN."""
    again = world.image(
        "web", KIT / "example", secrets={"app_env": app_env}, RELEASE="r-2", REVISION="0123abc"
    )
    assert config(again)["Layers"] == config(web)["Layers"]
    assert environment(again)["RELEASE"] == "r-2"


def test_a_change_of_code_keeps_the_dependency_layer(
    world: World, web: str, app_env: Path, tmp_path: Path
) -> None:
    """Red when the dependencies are installed from the whole project instead of its manifests."""
    changed = tmp_path / "example"
    shutil.copytree(
        KIT / "example", changed, ignore=shutil.ignore_patterns("__pycache__", "media", "*.sqlite3")
    )
    urls = changed / "config" / "urls.py"
    urls.write_text(urls.read_text() + "\n# changed\n")
    again = world.image("web", changed, secrets={"app_env": app_env})
    before, after = config(web)["Layers"], config(again)["Layers"]
    shared = sum(1 for old, new in zip(before, after, strict=True) if old == new)
    assert before != after
    assert len(before) - shared <= 3  # code, collected files, and the empty layer of WORKDIR


def test_development_runs_as_any_user_and_makes_files_of_that_user(
    world: World, dev: str, tmp_path: Path
) -> None:
    """Red when HOME is not /tmp or something asks the passwd file for the user."""
    project = tmp_path / "project"
    shutil.copytree(KIT / "example", project)
    for path in (project, *project.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    options = ("--user", "54321:54321", "--volume", f"{project}:/app", "--env", "SECRET_KEY=x")
    script = "python manage.py check && touch made && python -c 'import os; print(os.path.expanduser(\"~\"))'"
    printed = docker("run", "--rm", *options, dev, "sh", "-c", script)
    assert printed.splitlines()[-1] == "/tmp"
    assert (project / "made").stat().st_uid == 54321
    assert config(dev)["Cmd"] == ["python", "manage.py", "runserver", "0.0.0.0:8000"]


def test_the_fronts_configuration_is_published_by_the_nginx_user(world: World) -> None:
    """Red when USER, the owner of a folder that becomes a volume, or a file goes from the target."""
    image = world.image("nginx-configuration", KIT / "example", RELEASE="r-1", REVISION="0123abc")
    settings = config(image)
    assert settings["User"] == "101:101"
    assert settings["Labels"]["org.opencontainers.image.revision"] == "0123abc"
    assert settings["Entrypoint"] == ["/usr/local/bin/publish-configuration"]
    look = "stat -c '%u %n' /srv/nginx /srv/state /srv/tls /var/cache/nginx; cd /opt/nginx; ls -d * bin/*"
    said = docker("run", "--rm", "--entrypoint", "sh", image, "-c", look).split("\n")
    assert said == [
        "101 /srv/nginx", "101 /srv/state", "101 /srv/tls", "101 /var/cache/nginx",
        "bin", "bin/end-if-silent", "bin/front", "bin/maintenance", "bin/probe", "html",
        "http.d", "listen.envsh", "mime-types.envsh", "mime.types", "networks.envsh", "nginx.conf",
        "served-paths.envsh", "site.d", "snippets", "templates",
    ]  # fmt: skip
