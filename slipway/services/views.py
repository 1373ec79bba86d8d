"""Shows a stack without changing it."""

from __future__ import annotations

import json
import sys
import webbrowser
from collections.abc import Iterable, Sequence
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.core.output import human_size, rows
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = [
    "config",
    "images",
    "inspect",
    "logs",
    "objects",
    "open_browser",
    "print_url",
    "ps",
    "stats",
    "url",
]


def service_rows(states: Iterable[engine.ContainerState]) -> list[dict[str, Any]]:
    """Return the rows of a table of containers."""
    return [
        {
            "service": state.service,
            "container": state.name,
            "state": state.summary,
            "image": state.image,
            "ports": state.ports,
            "restarts": state.restarts,
        }
        for state in states
    ]


def ps(session: Session, *, everything: bool, as_json: bool) -> None:
    """List the stack's containers; finished one-shots and stopped ones only with ``everything``."""
    if session.runner.dry:
        session.runner.run(session.stack.ps(everything=everything))
        return
    states = engine.containers(session.stack.project, one_off=everything)
    shown = [s for s in states if everything or s.state not in {"exited", "created"}]
    columns = ("service", "container", "state", "image", "ports", "restarts")
    rows(service_rows(shown), columns, as_json=as_json)


def logs(
    session: Session, services: Sequence[str], *, follow: bool, tail: str, since: str, timestamps: bool
) -> None:
    """Print container logs."""
    names = session.check_services(services)
    argv = session.stack.logs(names, follow=follow, tail=tail, since=since, timestamps=timestamps)
    session.runner.replace(argv, plain=not sys.stdout.isatty())


def stats(session: Session, *, follow: bool, as_json: bool) -> None:
    """Print CPU, memory and I/O per container."""
    session.runner.replace(session.stack.stats(follow=follow, as_json=as_json))


def inspect(session: Session, service: str) -> None:
    """Print what the engine knows about a service's containers, as JSON."""
    session.check_services([service])
    names = [f"{session.stack.project}-{service}-1"]
    if not session.runner.dry:
        names = [s.name for s in engine.containers(session.stack.project) if s.service == service]
        if not names:
            raise SlipwayError("SLIP-070", f"{service} has no container", "create it with: invoke up")
    session.runner.replace(["docker", "inspect", *names])


def config(session: Session, *, as_json: bool) -> None:
    """Print the merged compose configuration."""
    session.runner.replace(session.stack.config(as_json=as_json))


def images(session: Session, *, as_json: bool) -> None:
    """List the base images and the images of this stack, with their sizes."""
    base = session.settings.images()
    wanted = {reference: variable for variable, reference in base.items()}
    wanted |= dict.fromkeys(session.stack.images(), "built")
    if not session.runner.dry:
        wanted |= dict.fromkeys(engine.tags(session.stack.web_repository), "built")
    if session.runner.dry:
        session.runner.run(["docker", "image", "ls"])
        return
    sizes = engine.image_sizes(wanted)
    data = [
        {
            "image": reference,
            "role": role,
            "size": human_size(sizes[reference]) if reference in sizes else "absent",
            "bytes": sizes.get(reference),
        }
        for reference, role in wanted.items()
    ]
    rows(data, ("image", "role", "size"), as_json=as_json)


def objects(session: Session, kind: str, *, as_json: bool) -> None:
    """List the stack's volumes or networks (``kind``: ``volume`` or ``network``)."""
    label = f"label={engine.PROJECT_LABEL}={session.stack.project}"
    argv = ["docker", kind, "ls", "--filter", label]
    session.runner.replace([*argv, "--format", "json"] if as_json else argv)


def url(session: Session) -> str:
    """Return the site's URL: a host name that the project allows, and the published port."""
    settings = session.settings
    if not session.stack.prod:
        return f"http://localhost:{settings.web_port}/"
    names = settings.server_names
    # nginx's ".example.org" and "*.example.org" also name a host.
    host = "localhost" if "localhost" in names else names[0].removeprefix("*").removeprefix(".")
    scheme, port, usual = ("http", settings.http_port, 80)
    if settings.tls != "off":
        scheme, port, usual = ("https", settings.https_port, 443)
    return f"{scheme}://{host}/" if port == usual else f"{scheme}://{host}:{port}/"


def print_url(session: Session, *, as_json: bool) -> None:
    """Print the site's URL."""
    print(json.dumps({"url": url(session)}) if as_json else url(session))


def open_browser(session: Session) -> None:
    """Print the site's URL and open it in the user's browser, if there is one."""
    address = url(session)
    print(address)
    if not session.runner.dry:
        webbrowser.open(address)
