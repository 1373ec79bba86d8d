"""From saving a file to seeing it served: the development stack against ``runserver`` on the host."""

from __future__ import annotations

import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from slipway.host import mirrors
from tests.bench.pairs import paired
from tests.bench.results import Result
from tests.bench.workshop import Workshop
from tests.support.polling import eventually
from tests.support.world import World, clean_environment, free_port

__all__ = ["MEASURES", "Served", "edited", "environment"]

EDITS_PER_RUN = 3
"""The reloader looks once a second: when in that second an edit comes matters, and evens out over more."""

_RELOADER_SECONDS = 1.0  # django.utils.autoreload.StatReloader.SLEEP_TIME
_POLL_SECONDS = 0.005
_DEADLINE_SECONDS = 60.0
_HEADER = "X-Edit"
_RETURN = 'return render(request, "guestbook/index.html", context, status=status)'


def edited(views: str, number: int) -> str:
    """The guestbook's views where the front page also says the ``number`` of the edit, in a header.

    Raises ``ValueError`` where the view does not end as expected.
    """
    if views.count(_RETURN) != 1:
        raise ValueError(f"guestbook/views.py must have this once: {_RETURN}")
    answer = _RETURN.replace("return", "answer =")
    return views.replace(_RETURN, f'{answer}\n    answer["{_HEADER}"] = "{number}"\n    return answer')


class Served:
    """A project that somebody edits in ``folder`` and that is served at 127.0.0.1:``port``."""

    def __init__(self, folder: Path, port: int) -> None:
        self._views = folder / "guestbook" / "views.py"
        self._original = self._views.read_text(encoding="utf-8")
        self._port = port
        self._edits = 0
        # The same moments for every side, so that none has the reloader's better phases.
        self._moments = random.Random(_RELOADER_SECONDS)

    def page(self) -> str | None:
        """The number of the edit that the front page shows; ``None`` while there is no such page."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            return answer.getheader(_HEADER, "0") if answer.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def save_to_served(self) -> float:
        """Save the next edit and return the seconds until the page shows it."""
        # The first look of a reloader only takes note of the files: an edit before it is never seen.
        time.sleep(_RELOADER_SECONDS * self._moments.uniform(1, 2))
        self._edits += 1
        text = edited(self._original, self._edits)
        started = time.perf_counter()
        self._views.write_text(text, encoding="utf-8")
        while self.page() != str(self._edits):
            waited = time.perf_counter() - started
            if waited > _DEADLINE_SECONDS:
                raise AssertionError(f"edit {self._edits} is not served after {waited:.0f} s")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - started


def dev_reload(workshop: Workshop, runs: int) -> Result:
    """A view is edited in the bind mount, and in a copy that ``manage.py runserver`` serves on the host."""
    world = workshop.world(prod=False, DB_PORT=str(free_port()))
    workshop.note(f"bringing up {world.project}, and runserver on the host")
    world.invoke("up")
    stack = Served(world.root / "example", world.port)
    host = _on_host(workshop, world)
    pairs = paired(stack.save_to_served, host.save_to_served, runs * EDITS_PER_RUN)
    note = f"{runs * EDITS_PER_RUN} edits of each; Python {_version(world)} in the container, "
    return Result("dev_reload", "s", pairs, f"{note}{sys.version.split()[0]} on the host")


def environment(variables: Mapping[str, str | None], secrets: Path, db_port: int) -> dict[str, str]:
    """What the stack's containers get, for a process on the host: the same settings, the same database."""
    found = {name: value or "" for name, value in variables.items()}
    for name, value in found.items():
        found[name] = value.replace("/run/secrets", str(secrets))
    return {**found, "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(db_port)}


def _on_host(workshop: Workshop, world: World) -> Served:
    """A copy of the project with a virtual environment of its own, served by ``runserver``."""
    folder = workshop.folder / "host"
    project = folder / "project"
    shutil.copytree(world.root / "example", project, ignore=shutil.ignore_patterns("__pycache__"))
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    index = mirrors.pip_index()
    subprocess.run(
        [
            python, "-m", "pip", "install", "--quiet", "--require-hashes",
            *([f"--index-url={index}"] if index else []),
            *(f"--requirement={project / name}" for name in ("requirements.txt", "requirements-dev.txt")),
        ],
        check=True,
    )  # fmt: skip
    files = (world.root / name for name in ("app.env", "app.dev.env"))
    variables = {name: value for file in files for name, value in dotenv_values(file).items()}
    own = dotenv_values(world.root / ".env")
    port = free_port()
    server = subprocess.Popen(
        [python, "manage.py", "runserver", f"127.0.0.1:{port}"],
        cwd=project,
        env={
            **clean_environment(),
            **environment(variables, world.root / "secrets", int(own["DB_PORT"] or 0)),
        },
        stdin=subprocess.DEVNULL,
        stdout=(folder / "log").open("wb"),
        stderr=subprocess.STDOUT,
        # The reloader's child is the server: both are ended as one.
        start_new_session=True,
    )
    workshop.at_end(lambda: _end(server))
    served = Served(project, port)
    try:
        eventually(served.page, "runserver on the host")
    except AssertionError as silent:
        raise AssertionError(f"{silent}\n{(folder / 'log').read_text(errors='replace')[-2000:]}") from None
    return served


def _end(server: subprocess.Popen[bytes]) -> None:
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()


def _version(world: World) -> str:
    shown = world.docker("exec", f"{world.project}-web-1", "python", "--version")
    return shown.removeprefix("Python ").strip()


MEASURES = {"dev_reload": dev_reload}
