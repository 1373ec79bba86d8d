"""Deploys over https under load: no request fails, and a certificate that is changed meanwhile is served."""

from __future__ import annotations

from authority import Authority
from tlskit import certs, files_folder, https_url, local_ca, nginx_id, served, trust

from tests.support.load import Load
from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World


def test_a_deploy_over_https_drops_nothing(prod: World) -> None:
    """Red when the TLS server of the new release is not loaded, or old workers are not waited for."""
    nginx, certificate = nginx_id(prod), served(prod)
    visitors = trust(local_ca(prod))
    with Load(https_url(prod), verify=visitors) as load:
        eventually(lambda: len(load.acknowledged) > 10, "the load to run")
        prod.invoke("deploy", "--release", "over-https")
        seen = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > seen + 10, "the load to go on")
    assert load.failures == []
    stored = prod.sql(f"select text from guestbook_entry where text like 'entry-{load.run}-%'").splitlines()
    assert len(stored) == len(set(stored)), "an entry was stored twice"
    assert set(load.acknowledged) <= set(stored), "an acknowledged entry was lost"
    print(f"\n{load.requests} requests, {len(load.acknowledged)} posts acknowledged, 0 failed")
    assert Site(https_url(prod), verify=visitors).release() == "over-https"
    assert served(prod) == certificate
    assert nginx_id(prod) == nginx, "nginx was replaced"


def test_a_deploy_brings_a_changed_certificate_along(prod: World, company: Authority) -> None:
    """Red when what lies in the files is checked by a deploy, and not served after it."""
    nginx, new = nginx_id(prod), company.issue("localhost", "127.0.0.1", "site.test", "more.test")
    new.write(files_folder(prod))
    prod.write_env(TLS="files")
    try:
        prod.invoke("deploy", "--release", "from-files")
        assert served(prod) == new.fingerprint
        assert certs(prod)["state"] == "served"
    finally:
        prod.write_env(TLS="local")
        prod.invoke("certs", "--reload")
    assert certs(prod)["state"] == "served"
    assert nginx_id(prod) == nginx, "nginx was replaced"
