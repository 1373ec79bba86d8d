"""Nothing this machine or the project keeps to itself may stay in an image."""

from __future__ import annotations

import uuid
from pathlib import Path

from imagekit import World, copy_of_project, docker
from mirror import Mirror

from tests.support.imagefiles import everything_in


def test_certificates_mirrors_and_secrets_leave_no_trace(
    world: World, mirror: Mirror, tmp_path: Path
) -> None:
    """Red when a script copies its secret into the image, e.g. `cp /run/secrets/pip /etc/pip.conf`, or writes
    the mirror into /etc/apt; red too when the pip or apt secret is not used at all, or the index is asked
    without its credentials."""
    marks = {name: f"{name}-{uuid.uuid4().hex}" for name in ("ca", "pip", "apt", "env", "prod")}
    files = {
        "ca": f"# {marks['ca']}\n" + (world.secrets / "ca.pem").read_text(),
        "pip": f"[global]\nindex-url = http://user:{marks['pip']}@{mirror.address}/simple\n",
        "apt": f"http://user:{marks['apt']}@{mirror.address}/debian\n",
        "app_env": f"SECRET_KEY={marks['env']}\nTOKEN={{{{secret:token}}}}\n",
        "app_prod_env": f"OTHER_KEY={marks['prod']}\n",
    }
    secrets = {}
    for name, content in files.items():
        secrets[name] = tmp_path / name
        secrets[name].write_text(content)
    project = copy_of_project("plain", tmp_path / "plain")
    mirror.credentials = f"user:{marks['pip']}"
    image = world.image(
        "web", project, "--network", "host", "--no-cache", secrets=secrets, RUNTIME_PACKAGES="netcat-openbsd"
    )
    assert any(path.startswith("/simple/uv/") for path in mirror.asked), mirror.asked
    assert any(path.startswith("/simple/django/") for path in mirror.asked), mirror.asked
    assert any("trixie" in path for path in mirror.asked), mirror.asked

    searched = 0
    for name, content in everything_in(image):
        searched += 1
        for secret, mark in {**marks, "address": mirror.address}.items():
            assert mark.encode() not in content, f"{secret} stands in {name}"
    assert searched > 3000
    told = docker("history", "--no-trunc", image) + docker("image", "inspect", image)
    assert [mark for mark in (*marks.values(), mirror.address) if mark in told] == []


def test_collectstatic_sees_throw_away_values_for_every_secret(world: World, tmp_path: Path) -> None:
    """Red when fill() or throw_away() does nothing: the settings below refuse to import then."""
    project = copy_of_project("plain", tmp_path / "plain")
    settings = project / "config" / "settings.py"
    settings.write_text(
        settings.read_text() + "\nfrom urllib.parse import urlsplit\n"
        "password = urlsplit(os.environ['DATABASE_URL']).password\n"
        "assert password == Path(os.environ['PASSWORD_FILE']).read_text().strip()\n"
        "assert len(password) > 40 and '{' not in password\n"
        "assert len(Path('/run/secrets/secret_key').read_text()) > 40\n"
        "assert os.environ['QUOTED'] == 'two words # and a hash', os.environ['QUOTED']\n"
        "assert os.environ['WINS'] == 'prod'\n"
        "assert os.getuid() == 10001\n"
    )
    (tmp_path / "app.env").write_text(
        "# a comment\nDATABASE_URL=postgres://app:{{secret:db}}@db/app\nPASSWORD_FILE=/run/secrets/db\n"
        "QUOTED='two words # and a hash'\nWINS=app\n"
    )
    (tmp_path / "app.prod.env").write_text("WINS=prod\n")
    secrets = {"app_env": tmp_path / "app.env", "app_prod_env": tmp_path / "app.prod.env"}
    image = world.image("web", project, secrets=secrets)
    assert (
        world.run(image, "sh", "-c", "ls /app/collected; ls -A /run/secrets 2>/dev/null || true")
        == "site.css"
    )
