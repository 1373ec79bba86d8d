"""What the TLS tests share: a site over https, its certificate as a stranger sees it, Debian's tools."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import authority
from cryptography import x509

from tests.support.load import add_slow_view
from tests.support.site import Site
from tests.support.world import ROOT, World, docker, free_port, world

TOOLS_IMAGE = "slipway-test/tls-tools"
NAMES = "localhost 127.0.0.1 site.test"
_HTTPS_PORTS: dict[str, int] = {}


@contextlib.contextmanager
def tls_world(folder: Path, name: str, **settings: str) -> Iterator[World]:
    """A production stack to be, whose project takes https for granted; nothing is started yet."""
    port = free_port()
    with world(folder, name, prod=True, HTTPS_PORT=str(port), **settings) as own:
        _HTTPS_PORTS[own.name] = port
        # Secure cookies; and no Strict-Transport-Security of Django's, which would hide nginx's.
        (own.root / "app.prod.env").write_text("HTTPS=1\nHSTS_SECONDS=0\n")
        add_slow_view(own)
        app = (own.root / "app.env.example").read_text()
        (own.root / "app.env").write_text(app.replace("ALLOWED_HOSTS=", "ALLOWED_HOSTS=site.test,"))
        yield own


def https_port(own: World) -> int:
    return _HTTPS_PORTS[own.name]


def https_url(own: World) -> str:
    return f"https://localhost:{https_port(own)}"


def visitor(own: World, ca: Path, *, http2: bool = False) -> Site:
    """Somebody who trusts ``ca`` alone."""
    return Site(https_url(own), verify=trust(ca), http2=http2)


def trust(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def local_ca(own: World) -> Path:
    return own.root / "secrets" / "tls" / "local" / "ca.pem"


def files_folder(own: World) -> Path:
    return own.root / "secrets" / "tls"


def served(own: World, name: str | None = "localhost") -> str:
    """The fingerprint of the certificate that a client asking for ``name`` is shown."""
    context = _trusting_anybody()
    address = ("127.0.0.1", https_port(own))
    with (
        socket.create_connection(address, timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=name) as conversation,
    ):
        shown = conversation.getpeercert(binary_form=True)
    return _fingerprint(shown)


def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(certificate: bytes | None) -> str:
    assert certificate
    return hashlib.sha256(certificate).digest().hex(":").upper()


class SlowRequest:
    """A request that takes several seconds, in flight as long as the block runs and beyond."""

    def __init__(self, own: World, seconds: float = 12) -> None:
        self.status = 0
        self.fingerprint = ""
        self._path = f"/slow?seconds={seconds}"
        port = https_port(own)
        self._connection = http.client.HTTPSConnection("localhost", port, context=_trusting_anybody())
        self._thread = threading.Thread(target=self._finish, daemon=True)

    @property
    def done(self) -> bool:
        return bool(self.status)

    def __enter__(self) -> SlowRequest:
        self._connection.connect()
        self.fingerprint = _fingerprint(self._connection.sock.getpeercert(binary_form=True))
        self._connection.request("GET", self._path)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(timeout=60)
        self._connection.close()

    def _finish(self) -> None:
        self.status = self._connection.getresponse().status


def publish(own: World, key: bytes, chain: Sequence[x509.Certificate]) -> None:
    """Put a certificate into nginx's volume, as the service acme does; nobody is told."""
    image = own.container("nginx-configuration")["Config"]["Image"]
    argv = ["docker", "run", "--rm", "--interactive", "--user", "101:101", "--network", "none"]
    argv += ["--volume", f"{own.project}_certificates:/srv/tls"]
    argv += ["--entrypoint", "publish-certificate", image]
    subprocess.run(argv, input=key + authority.pem(*chain), check=True, capture_output=True)


def docker_fails(*arguments: str) -> str:
    """What a docker command says that must fail."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def last_health_check(own: World) -> str:
    """When nginx's last one began."""
    return str(own.container("nginx")["State"]["Health"]["Log"][-1]["Start"])


def certs(own: World, *flags: str) -> dict[str, Any]:
    """What `invoke certs` says."""
    said: dict[str, Any] = json.loads(own.invoke("certs", "--json", *flags).stdout)
    return said


def docker_network(own: World) -> str:
    """Where nginx can be asked by name."""
    return f"{own.project}_edge"


def nginx_id(own: World) -> str:
    return str(own.container("nginx")["Id"])


def build_tools(own: World) -> str:
    """The image with pebble, sslscan and openssl; Debian's mirror is the one this machine uses."""
    from tests.support.world import base_images

    docker(
        "build", "--quiet", "--tag", TOOLS_IMAGE,
        "--build-arg", f"PYTHON_IMAGE={base_images()['PYTHON_IMAGE']}",
        "--build-context", f"docker={ROOT / 'docker'}",
        "--secret", f"id=apt,src={own.root / '.slipway/build/apt-mirror'}",
        "--file", str(Path(__file__).with_name("tools.Dockerfile")), str(Path(__file__).parent),
    )  # fmt: skip
    return TOOLS_IMAGE


@contextlib.contextmanager
def resolving(name: str) -> Iterator[None]:
    """Within the block ``name`` means this machine, for this process."""
    usual = socket.getaddrinfo

    def look_up(host: Any, *others: Any, **named: Any) -> Any:
        return usual("127.0.0.1" if host == name else host, *others, **named)

    socket.getaddrinfo = look_up  # type: ignore[assignment]
    try:
        yield
    finally:
        socket.getaddrinfo = usual
