"""Changes that are no new code: nginx's configuration, a static file, the number of replicas."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from rolloutkit import assert_clean, assert_saw, edited, front, ledger, nginx_id, release, visitors, web

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, base_images, docker

_TEMPLATE = "example/guestbook/templates/guestbook/index.html"

_LOCATION = 'location = /only-here { return 200 "of this release"; }\n'


def test_nginx_configuration_is_part_of_a_release(prod: World) -> None:
    """Red when nginx is recreated for it (its connections are cut), or when a rollback leaves it behind."""
    before, nginx, site = release(prod), nginx_id(prod), Site(prod.url)
    assert site.get("/only-here").status_code == 404
    with visitors(prod) as load:
        with edited(prod, "nginx/templates/site.d/here.conf.template", "", _LOCATION):
            prod.invoke("deploy", "--release", "with-location")
            # A second one: what was published for the release before is gone from the volume by then.
            prod.invoke("deploy", "--release", "with-location-too")
        assert site.get("/only-here").text == "of this release"
        prod.invoke("rollback", "--release", before)
        assert site.get("/only-here").status_code == 404
        assert_clean(prod, before)
    assert_saw(load, before, "with-location", "with-location-too", before)
    assert nginx_id(prod) == nginx, "nginx was replaced"


def test_a_setting_of_nginx_counts_from_the_next_deploy(prod: World) -> None:
    """Red when a variable of .env changes nginx's container, and so has it replaced."""
    before, nginx = release(prod), nginx_id(prod)
    with visitors(prod) as load:
        prod.write_env(CLIENT_MAX_BODY_SIZE="1k")
        try:
            prod.invoke("deploy", "--release", "small-bodies")
            assert Site(prod.url).client.post("/", content=b"x" * 2000).status_code == 413
        finally:
            prod.write_env(CLIENT_MAX_BODY_SIZE="10m")
        prod.invoke("deploy", "--release", "usual-bodies")
        assert Site(prod.url).client.post("/", content=b"x" * 2000).status_code == 403
        assert_clean(prod, "usual-bodies")
    assert_saw(load, before, "small-bodies", "usual-bodies")
    assert nginx_id(prod) == nginx, "nginx was replaced"


def test_old_hashed_files_stay_for_pages_that_are_open(prod: World) -> None:
    """Red when publishing removes files of the earlier release, or the new name is not served."""

    def stylesheet() -> str:
        found = re.search(r'href="(/static/[^"]+\.css)"', Site(prod.url).get("/").text)
        assert found
        return found[1]

    before, old = release(prod), stylesheet()
    sheet = next((prod.root / "example").rglob("style.css"))
    path = str(sheet.relative_to(prod.root))
    with visitors(prod) as load:
        text = sheet.read_text()
        with edited(prod, path, text, f"{text}\n.new-rule {{ color: red }}\n"):
            prod.invoke("deploy", "--release", "with-style")
        new = stylesheet()
        assert new != old
        assert "new-rule" in Site(prod.url).get(new).text
        assert "new-rule" not in Site(prod.url).get(old).text
        assert Site(prod.url).get(old).status_code == 200
        assert_clean(prod, "with-style")
    assert_saw(load, before, "with-style")


def test_scaling_2_4_1_2(prod: World) -> None:
    """Red when nginx is sent to replicas that are not ready yet, or Compose stops ones it still uses."""
    before = release(prod)
    with visitors(prod) as load:
        for count in (4, 1, 2):
            prod.invoke("up", "--no-build", "--scale", str(count))
            assert_clean(prod, before, replicas=count)
            addresses = {
                c["NetworkSettings"]["Networks"][f"{prod.project}_edge"]["IPAddress"] for c in web(prod)
            }
            assert set(front(prod, "peers", "/healthz/ready", "localhost", "40").split()) == addresses
    assert_saw(load, before)


def test_a_replica_that_does_not_become_ready_is_taken_back(prod: World) -> None:
    """Red when scaling up leaves broken replicas, or nginx pinned to the old ones."""
    before = release(prod)
    with visitors(prod) as load:
        # Too little for Python: whoever starts now is killed. The replicas there are keep what they have.
        prod.write_env(WEB_MEMORY="32m")
        try:
            broken = prod.invoke("up", "--no-build", "--scale", "3", check=False)
        finally:
            prod.write_env(WEB_MEMORY="512m")
        assert broken.returncode != 0
        assert_clean(prod, before)
    assert_saw(load, before)


def test_workers_that_are_recycled_drop_nothing(prod: World) -> None:
    """Red when a worker that has served its share ends under a request, or under a connection nginx keeps."""
    before = release(prod)
    path = prod.root / "app.prod.env"
    usual = path.read_text()
    with visitors(prod) as load:
        path.write_text(f"{usual}\nGUNICORN_CMD_ARGS=--max-requests 150 --max-requests-jitter 30\n")
        try:
            prod.invoke("deploy", "--release", "recycling")
        finally:
            path.write_text(usual)

        def recycled() -> int:
            logs = [_log(c["Id"]) for c in web(prod)]
            return sum(log.count("Autorestarting worker") for log in logs)

        eventually(lambda: recycled() >= 8, "workers to be recycled", timeout=120)
        prod.invoke("deploy", "--release", "not-recycling")
        assert_clean(prod, "not-recycling")
    assert_saw(load, before, "recycling", "not-recycling")


def _log(container: str) -> str:
    argv = ["docker", "logs", container]
    return subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    ).stdout


def test_an_image_from_elsewhere_and_how_many_are_kept(prod: World) -> None:
    """Red when `--image` builds all the same, or KEEP_RELEASES keeps more, or less."""
    before = release(prod)
    elsewhere = f"registry.invalid/{prod.name}/shop:1"
    with visitors(prod) as load:
        with edited(prod, _TEMPLATE, "Entries", "From elsewhere"):
            prod.invoke("build", "--services", "web")
        built = next(tag for tag in _tags(prod) if tag not in {before, *(e["release"] for e in ledger(prod))})
        docker("tag", f"{prod.project}-web:{built}", elsewhere)
        docker("image", "rm", f"{prod.project}-web:{built}")
        prod.write_env(KEEP_RELEASES="2")
        try:
            prod.invoke("deploy", "--image", elsewhere)
        finally:
            prod.write_env(KEEP_RELEASES="5")
            docker("image", "rm", elsewhere)
        assert_clean(prod, built)
        assert "From elsewhere" in Site(prod.url).get("/").text
        assert _tags(prod) == {before, built}
        prod.invoke("rollback")
        assert_clean(prod, before)
    assert_saw(load, before, built, before)


def _tags(prod: World) -> set[str]:
    return set(docker("image", "ls", "--format", "{{.Tag}}", f"{prod.project}-web").split())


def test_another_base_image_of_nginx_is_announced(prod: World, tmp_path: Path) -> None:
    """Red when nginx is replaced without a word, or the old base image goes on serving."""
    nginx, usual = nginx_id(prod), base_images()["NGINX_IMAGE"]
    other = f"{prod.project}-other-nginx:1"
    (tmp_path / "Dockerfile").write_text(f"FROM {usual}\nLABEL other=yes\n")
    docker("build", "--quiet", "--tag", other, str(tmp_path))
    prod.write_env(NGINX_IMAGE=other)
    try:
        said = prod.invoke("deploy", "--release", "other-nginx").stderr
        assert said.index("nginx's container will be replaced in the end") < said.index("== build")
        assert_clean(prod, "other-nginx")
        assert nginx_id(prod) != nginx
        assert prod.container("nginx")["Config"]["Image"] == other
    finally:
        prod.write_env(NGINX_IMAGE=usual)
    prod.invoke("deploy", "--release", "usual-nginx")
    assert_clean(prod, "usual-nginx")
    docker("image", "rm", other)


def test_a_database_that_would_be_replaced_is_refused(prod: World) -> None:
    """Red when Compose replaces the database in the middle of a deploy, and requests fail meanwhile."""
    before, database = release(prod), prod.container("db")["Id"]
    prod.write_env(DB_MEMORY="600m")
    try:
        refused = prod.invoke("deploy", "--release", "larger-database", check=False)
    finally:
        prod.write_env(DB_MEMORY="512m")
    assert "SLIP-092" in refused.stderr
    assert_clean(prod, before)
    assert prod.container("db")["Id"] == database
