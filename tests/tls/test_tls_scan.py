"""Protocols and ciphers, by a scanner that is not ours: Debian's sslscan."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from tlskit import docker_network

from tests.support.world import World, docker

# Mozilla's "intermediate" without DHE, for the kind of key that the local certificate has.
_ALLOWED = {
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
}  # fmt: skip


@pytest.fixture(scope="module")
def report(prod: World, tools: str) -> ElementTree.Element:
    said = docker(
        "run", "--rm", "--network", docker_network(prod), "--entrypoint", "sslscan", tools,
        "--xml=-", "--no-colour", "--sni-name=localhost", "nginx:8443",
    )  # fmt: skip
    found = ElementTree.fromstring(said).find("ssltest")
    assert found is not None, said
    return found


def test_protocols(report: ElementTree.Element) -> None:
    """Red with TLSv1.1 in ssl_protocols (and a cipher for it), or without TLSv1.3."""
    enabled = {
        f"{one.get('type')}{one.get('version')}"
        for one in report.iter("protocol")
        if one.get("enabled") == "1"
    }
    assert enabled == {"tls1.2", "tls1.3"}


def test_ciphers(report: ElementTree.Element) -> None:
    """Red with nginx's default HIGH:!aNULL:!MD5, which has CBC and static RSA in it."""
    accepted = {str(one.get("cipher")) for one in report.iter("cipher")}
    assert len(accepted) >= 4, "the scanner saw nothing"
    assert accepted <= _ALLOWED
    assert {str(one.get("strength")) for one in report.iter("cipher")} <= {"strong", "acceptable"}


def test_known_weaknesses(report: ElementTree.Element) -> None:
    """Red when the server renegotiates at a client's wish, compresses, or leaks memory."""
    assert [one.get("supported") for one in report.iter("compression")] == ["0"]
    assert {one.get("vulnerable") for one in report.iter("heartbleed")} == {"0"}
    assert [one.get("secure") for one in report.iter("renegotiation") if one.get("supported") == "1"] in (
        [],
        ["1"],
    )
