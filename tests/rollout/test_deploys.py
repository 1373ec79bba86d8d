"""The short form: a good deploy, a broken one, the way back, an image. Under load, in every CI."""

from __future__ import annotations

import sys

from rolloutkit import assert_clean, assert_saw, edited, ledger, nginx_id, release, visitors

from tests.support.site import Site, png
from tests.support.world import World, docker

# What it is told, once the release serves and is in the ledger.
_HOOK = f"""#!/bin/sh
{sys.executable} -m invoke releases --json | grep -q "$SLIPWAY_RELEASE" || exit 1
echo "$SLIPWAY_KIND $SLIPWAY_RELEASE after $SLIPWAY_PREVIOUS_RELEASE, at $SLIPWAY_URL" >told
"""
# Of the rows there are, in both directions.
_MIGRATION = """
from django.db import migrations

def read(apps, schema_editor):
    for entry in apps.get_model("guestbook", "Entry").objects.exclude(image=""):
        with entry.image.open("rb") as image:
            entry.text = f"{entry.text}+{len(image.read())}"
        entry.save()

class Migration(migrations.Migration):
    dependencies = [("guestbook", "0001_initial")]
    operations = [migrations.RunPython(read, read)]
"""
_TEMPLATE = "example/guestbook/templates/guestbook/index.html"


def test_good_broken_and_back(prod: World) -> None:
    """Red when the old replicas stop before nginx's old workers are gone, when `up` recreates instead, when
    nginx names an upstream it has not looked up yet, or when a broken release is switched to.
    """
    first, nginx = release(prod), nginx_id(prod)
    with visitors(prod) as load, edited(prod, _TEMPLATE, "Entries", "All entries"):
        with edited(prod, "hooks/post-deploy", "", _HOOK):
            (prod.root / "hooks/post-deploy").chmod(0o755)
            prod.invoke("deploy", "--release", "second")
        assert (prod.root / "told").read_text() == f"deploy second after {first}, at {prod.url}/\n"
        assert_clean(prod, "second")

        with edited(prod, "example/config/wsgi.py", '"""', 'raise RuntimeError("crashes at start")\n"""'):
            broken = prod.invoke("deploy", "--release", "third", check=False)
        assert broken.returncode != 0
        assert "SLIP-080: third: the step 'wait' failed" in broken.stderr
        assert "failed: the service web keeps ending" in broken.stderr
        assert "RuntimeError: crashes at start\n  fix: " in broken.stderr, "its reason is not told"
        assert "second serves" in broken.stderr
        assert_clean(prod, "second")

        prod.invoke("rollback")
        assert_clean(prod, first)
        _deploy_an_image(prod)
    assert_saw(load, first, "second", first, "pushed")
    assert nginx_id(prod) == nginx, "nginx was replaced"
    results = [(entry["release"], entry["kind"], entry["result"].split(":")[0]) for entry in ledger(prod)]
    assert results[:4] == [
        ("pushed", "deploy", "live"),
        (first, "rollback", "live"),
        ("third", "deploy", "failed"),
        ("second", "deploy", "live"),
    ]


def _deploy_an_image(prod: World) -> None:
    """One that another machine has built. Red when an image that the kit made is taken for a foreign one."""
    elsewhere, other = f"registry.invalid/{prod.name}/shop:1", f"registry.invalid/{prod.name}/nginx:1"
    prod.invoke("build", env={"RELEASE": "pushed"})
    for name, image in (("web", elsewhere), ("nginx-configuration", other)):
        docker("tag", f"{prod.project}-{name}:pushed", image)
        docker("image", "rm", f"{prod.project}-{name}:pushed")
    try:
        refused = prod.invoke("deploy", "--image", other, check=False)
        assert refused.returncode != 0 and "SLIP-091" in refused.stderr
        prod.invoke("deploy", "--image", elsewhere)
    finally:
        docker("image", "rm", elsewhere, other)
    assert_clean(prod, "pushed")


def test_a_migration_opens_uploads(prod: World) -> None:
    """Red when `migrate` has no volume with what people have uploaded, forwards or back."""
    before, picture = release(prod), png()
    posted = Site(prod.url).submit("/", {"text": "pictured"}, {"image": ("red.png", picture, "image/png")})
    assert posted.status_code == 302
    size, pictured = len(picture), "select text from guestbook_entry where text like 'pictured%'"
    with edited(prod, "example/guestbook/migrations/0099_reads.py", "", _MIGRATION):
        prod.invoke("deploy", "--release", "reads-uploads")
    assert prod.sql(pictured) == f"pictured+{size}"
    prod.invoke("rollback", "--migrate-back")
    assert prod.sql(pictured) == f"pictured+{size}+{size}"
    assert_clean(prod, before)
    prod.sql("delete from guestbook_entry where text like 'pictured%'")
