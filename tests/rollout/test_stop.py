"""Taking the stack down: who asked already is answered, and nothing is stopped under what needs it."""

from __future__ import annotations

import threading
import time

from rolloutkit import assert_clean, release

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World, docker


def _stops(own: World, since: float) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """When each service's containers were told to stop, and when they ended; nanoseconds, from the engine."""
    listed = docker(
        *("events", "--since", f"{since:.3f}", "--until", f"{time.time():.3f}"),
        *("--filter", f"label=com.docker.compose.project={own.project}"),
        *("--filter", "event=kill", "--filter", "event=die"),
        *("--format", '{{.TimeNano}} {{.Action}} {{index .Actor.Attributes "com.docker.compose.service"}}'),
    )
    asked: dict[str, list[int]] = {}
    ended: dict[str, list[int]] = {}
    for line in listed.splitlines():
        moment, action, service = line.split()
        (asked if action == "kill" else ended).setdefault(service, []).append(int(moment))
    return asked, ended


def test_a_stop_goes_from_the_front_to_the_back(prod: World) -> None:
    """Red when web or the database stop while nginx still has requests, or nginx cuts them."""
    before = release(prod)
    answers: list[int | str] = []

    def visit() -> None:
        try:
            answers.append(Site(prod.url).get("/slow").status_code)
        except Exception as problem:
            answers.append(repr(problem))

    visitors = [threading.Thread(target=visit) for _ in range(6)]
    for thread in visitors:
        thread.start()
    status = ("exec", f"{prod.project}-nginx-1", "curl", "-s", "http://127.0.0.1:8081/stub_status")
    # Six visitors, and the question itself.
    eventually(lambda: int(docker(*status).split()[2]) >= 7, "the requests to be in flight", timeout=2)
    begun = time.time()
    prod.invoke("stop")
    for thread in visitors:
        thread.join(timeout=60)
    assert answers == [200] * 6
    for container in prod.containers():
        assert container["State"]["ExitCode"] == 0, f"{container['Name']} did not end by itself"
    asked, ended = _stops(prod, begun)
    assert max(ended["nginx"]) < min(asked["web"])
    assert max(ended["web"]) < min(asked["db"])
    prod.invoke("up", "--no-build")
    assert_clean(prod, before)
