"""An ACME CA of the test's own: Debian's pebble, in a container on the stack's networks."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import authority
from tlskit import https_port

from tests.support.polling import eventually
from tests.support.world import World, docker

_LIFETIME_SECONDS = 90 * 24 * 3600

# nginx under the site's name, as a CA out there would find it.
OVERLAY = """
services:
  nginx:
    networks:
      edge:
        aliases: [site.test]
"""
_FETCH = (
    "import ssl, sys, urllib.request as r; "
    "print(r.urlopen(sys.argv[1], context=ssl._create_unverified_context(), timeout=5).read().decode())"
)


class Pebble:
    """A CA for ``own``, which reaches it as https://pebble:14000/dir. It keeps nothing over a restart."""

    def __init__(self, own: World, image: str) -> None:
        self._own = own
        self._image = image
        self._name = f"{own.project}-pebble"
        self._folder = own.root / "pebble"
        # Of its own https, not of what it issues: that one is new at each start.
        self._write_configuration(authority.root("Pebble's https"))

    @property
    def site_url(self) -> str:
        """The site under the name that the certificate is for; see ``tlskit.resolving``."""
        return f"https://site.test:{https_port(self._own)}"

    def start(self) -> None:
        """Run it, and let it reach nginx and be reached by the service acme."""
        docker(
            "run", "--detach", "--name", self._name, "--network", f"{self._own.project}_edge",
            "--label", f"com.docker.compose.project={self._own.project}",
            "--env", "PEBBLE_VA_NOSLEEP=1", "--volume", f"{self._folder}:/pebble:ro",
            "--entrypoint", "pebble", self._image, "-config", "/pebble/config.json",
        )  # fmt: skip
        self.connect()
        eventually(lambda: self._fetch("https://localhost:14000/dir"), "pebble to answer")

    def connect(self) -> None:
        docker("network", "connect", "--alias", "pebble", f"{self._own.project}_acme", self._name)

    def disconnect(self) -> None:
        """Out of the service's reach, as a CA that is down. A restart would make it forget the account."""
        docker("network", "disconnect", f"{self._own.project}_acme", self._name)

    def trust(self) -> ssl.SSLContext:
        """A client's that trusts what it issues."""
        return ssl.create_default_context(cadata=self._fetch("https://localhost:15000/roots/0"))

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self._name, check=False)

    def _fetch(self, url: str) -> str:
        return docker("exec", self._name, "python3", "-c", _FETCH, url)

    def _write_configuration(self, root: authority.Authority) -> None:
        own = root.issue("pebble")
        authority.write(self._folder, own.chain, own.key_pem())
        # Read by whoever the image runs as.
        self._folder.chmod(0o755)
        (self._folder / "privkey.pem").chmod(0o644)
        (self._own.root / "pebble-root.pem").write_bytes(authority.pem(root.certificate))
        configuration = {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/pebble/fullchain.pem",
            "privateKey": "/pebble/privkey.pem",
            "httpPort": 8080,
            "tlsPort": 8443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": _LIFETIME_SECONDS,
        }
        (self._folder / "config.json").write_text(json.dumps({"pebble": configuration}))


def make_due(own: World) -> None:
    """Have certbot find that a renewal is due, as it is a month before the end."""
    edit = "sed -i '1i renew_before_expiry = 36500 days' /srv/certbot/config/renewal/site.conf"
    docker("exec", f"{own.project}-acme-1", "sh", "-c", edit)


def overlay(own: World) -> str:
    """Write ``OVERLAY`` into the copy; its path for COMPOSE_OVERLAYS."""
    Path(own.root / "site-name.yaml").write_text(OVERLAY)
    return "site-name.yaml"
