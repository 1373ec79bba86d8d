"""The container that makes the load: on the networks of the stacks, so that no port forwarder is measured."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import h2load
from tests.bench.stacks import Stack
from tests.bench.usage import Usage, usage
from tests.bench.workshop import Workshop
from tests.support.world import ROOT, World, base_images, docker

__all__ = ["PAGE_HEADERS", "SERVICE", "STYLE_HEADERS", "LoadMaker", "Turn"]

SERVICE = "h2load"
"""What the load maker is called among the services of a turn."""
_CLIENTS = 32
# Of the load at a fixed rate: each asks so rarely that it has its answer before it asks again.
_PATIENT_CLIENTS = 48
_WARM_UP_SECONDS = 1
_LOG = "/tmp/h2load.log"

_BROWSER = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 "
        "Safari/537.36"
    ),
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-US,en;q=0.9",
    "sec-ch-ua": '"Chromium";v="143", "Google Chrome";v="143", "Not A(Brand";v="24"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
}
PAGE_HEADERS = {
    **_BROWSER,
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
}
"""What a current browser sends for a page it has no cookie of."""
STYLE_HEADERS = {
    **_BROWSER,
    "Accept": "text/css,*/*;q=0.1",
    "Referer": "http://localhost/admin/login/",
    "Sec-Fetch-Dest": "style",
    "Sec-Fetch-Mode": "no-cors",
    "Sec-Fetch-Site": "same-origin",
}
"""What it sends for a stylesheet of that page."""


@dataclass(frozen=True)
class Turn:
    """One turn of load: how much was answered, and what that took."""

    rate: float
    """Requests per second."""
    requests: int
    before: Mapping[str, Usage]
    after: Mapping[str, Usage]
    """By service, replicas together; what made the load is ``SERVICE``."""

    def cpu(self, service: str) -> float:
        """Processor seconds per request."""
        return (self.after[service].cpu - self.before[service].cpu) / self.requests

    def throttled(self, service: str) -> float:
        """Seconds per second for which its limit held its processes back; more than 1 where it is several."""
        seconds = self.requests / self.rate
        return (self.after[service].throttled - self.before[service].throttled) / seconds


class LoadMaker:
    """h2load in a container of its own; one stack at a time is asked."""

    def __init__(self, place: Workshop, own: World, stacks: list[Stack]) -> None:
        self._name = f"{own.name}-load"
        here = Path(__file__).parent
        place.at_end(lambda: docker("image", "rm", "--force", self._name, check=False))
        docker(
            "build", "--quiet", "--tag", self._name,
            "--build-arg", f"PYTHON_IMAGE={base_images()['PYTHON_IMAGE']}",
            "--build-context", f"docker={ROOT / 'docker'}",
            "--secret", f"id=apt,src={own.root / '.slipway/build/apt-mirror'}",
            "--file", str(here / "loader.Dockerfile"), str(here / "usual"),
        )  # fmt: skip
        place.at_end(lambda: docker("rm", "--force", self._name, check=False))
        docker("run", "--detach", "--init", "--name", self._name, "--network", stacks[0].network, self._name)
        for stack in stacks[1:]:
            docker("network", "connect", stack.network, self._name)

    def turn(self, stack: Stack, path: str, headers: Mapping[str, str], seconds: float = 5) -> Turn:
        """Ask ``stack`` for ``path`` as fast as it answers, after a short time that does not count."""
        arguments = (f"http://localhost{path}", stack.nginx, headers)
        self._run(h2load.as_fast_as_possible(*arguments, _WARM_UP_SECONDS, _CLIENTS))
        before = self._usage(stack)
        answers = h2load.read(self._run(h2load.as_fast_as_possible(*arguments, seconds, _CLIENTS)))
        return Turn(answers.rate, answers.done, before, self._usage(stack))

    def latencies(
        self, stack: Stack, path: str, headers: Mapping[str, str], rate: float, seconds: float = 7
    ) -> list[float]:
        """Ask ``stack`` for ``path`` ``rate`` times a second; the seconds that each answer took.

        What is asked in the first second does not count.
        """
        url = f"http://localhost{path}"
        # h2load appends.
        self._run(["rm", "-f", _LOG])
        self._run(h2load.at_rate(url, stack.nginx, headers, seconds, _PATIENT_CLIENTS, rate, _LOG))
        return h2load.latencies(self._run(["cat", _LOG]), _WARM_UP_SECONDS)

    def while_asking(
        self, stack: Stack, path: str, headers: Mapping[str, str], check: Callable[[], object]
    ) -> None:
        """Call ``check`` while ``stack`` is asked for ``path`` as fast as it answers."""
        argv = h2load.as_fast_as_possible(f"http://localhost{path}", stack.nginx, headers, 3, _CLIENTS)
        with subprocess.Popen(
            ["docker", "exec", self._name, *argv], stdout=subprocess.PIPE, text=True
        ) as running:
            check()
            output, _ = running.communicate()
        h2load.read(output)

    def _run(self, argv: list[str]) -> str:
        return docker("exec", self._name, *argv)

    def _usage(self, stack: Stack) -> dict[str, Usage]:
        found = {SERVICE: usage(self._name)}
        for name in stack.containers():
            service = name.removeprefix(f"{stack.project}-").rpartition("-")[0]
            found[service] = found.get(service, Usage(0, 0, 0)) + usage(name)
        return found
