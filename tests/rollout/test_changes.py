"""Changes that are no new code: nginx's configuration, a static file, the number of replicas."""

from __future__ import annotations

import re

from rolloutkit import assert_clean, assert_saw, edited, front, nginx_id, release, visitors, web

from tests.support.site import Site
from tests.support.world import World

_LOCATION = 'location = /only-here { return 200 "of this release"; }\n'


def test_nginx_configuration_is_part_of_a_release(prod: World) -> None:
    """Red when nginx is recreated for it (its connections are cut), or when a rollback leaves it behind."""
    before, nginx, site = release(prod), nginx_id(prod), Site(prod.url)
    assert site.get("/only-here").status_code == 404
    with visitors(prod) as load:
        with edited(prod, "nginx/templates/site.d/here.conf.template", "", _LOCATION):
            prod.invoke("deploy", "--release", "with-location")
        assert site.get("/only-here").text == "of this release"
        prod.invoke("rollback")
        assert site.get("/only-here").status_code == 404
        assert_clean(prod, before)
    assert_saw(load, before, "with-location", before)
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
        prod.write_env(WEB_MEMORY="16m")
        try:
            broken = prod.invoke("up", "--no-build", "--scale", "3", check=False)
        finally:
            prod.write_env(WEB_MEMORY="512m")
        assert broken.returncode != 0
        assert_clean(prod, before)
    assert_saw(load, before)
