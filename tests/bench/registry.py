"""A registry of the bench's own, with this machine's base images under their official names.

So a pull takes the same way everywhere, whether the official registry can be reached or not, and nobody
else's bandwidth or limits are measured.
"""

from __future__ import annotations

import json
import secrets
import urllib.request

from slipway.config.settings import variables
from tests.bench.engine import LABEL, built
from tests.bench.workshop import Workshop
from tests.support.polling import eventually
from tests.support.world import base_images, docker, free_port

__all__ = ["BASES", "daemon_configuration", "registry"]

BASES = ("PYTHON_IMAGE", "POSTGRES_IMAGE", "NGINX_IMAGE")


def registry(place: Workshop) -> str:
    """Start it; return the address at which other containers of this machine's engine reach it."""
    image, name, port = (
        built(place, "registry.Dockerfile"),
        f"slipway-bench-registry-{secrets.token_hex(4)}",
        free_port(),
    )
    docker(
        "run",
        "--detach",
        "--init",
        "--name",
        name,
        "--label",
        f"{LABEL}={place.folder}",
        "--publish",
        f"127.0.0.1:{port}:5000",
        image,
    )
    place.at_end(lambda: docker("rm", "--force", "--volumes", name, check=False))
    eventually(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5), "the registry")
    place.note("a registry of its own is there; it gets the base images")
    for variable, reference in base_images().items():
        if variable in BASES:
            pushed = f"127.0.0.1:{port}/library/{variables()[variable].default}"
            docker("tag", reference, pushed)
            place.at_end(lambda tag=pushed: docker("image", "rm", tag, check=False))
            docker("push", "--quiet", pushed)
    address = docker(
        "inspect", "--format={{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name
    ).strip()
    return f"http://{address}:5000"


def daemon_configuration(address: str) -> str:
    """The daemon.json of an engine that asks the registry at ``address`` first; if empty, reaches none."""
    if address:
        return json.dumps({"registry-mirrors": [address]})
    nobody = "http://127.0.0.1:9"  # the port of the service "discard", which nobody runs
    return json.dumps({"proxies": {"http-proxy": nobody, "https-proxy": nobody}})
