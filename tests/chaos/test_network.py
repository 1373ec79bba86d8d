"""The database is there, and cannot be reached."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

from chaoskit import endured, init_pid

from tests.support.polling import eventually
from tests.support.site import Site
from tests.support.world import World

_CUT_SECONDS = 20
# What one request may take meanwhile.
_ANSWER_SECONDS = 12


@contextlib.contextmanager
def _cut_off(own: World, service: str) -> Iterator[None]:
    """Every packet from and to the service vanishes, as on a network that is gone: nothing says so."""
    inside = ["nsenter", f"--target={init_pid(own, service)}", "--net", "iptables"]
    rules = [["INPUT", "!", "--in-interface", "lo"], ["OUTPUT", "!", "--out-interface", "lo"]]
    for rule in rules:
        subprocess.run([*inside, "--insert", *rule, "--jump", "DROP"], check=True)
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run([*inside, "--delete", *rule, "--jump", "DROP"], check=True)


def test_a_database_out_of_reach_costs_answers_in_time(prod: World) -> None:
    """Red without `tcp_user_timeout` in the example's settings (requests hang), without the pool's `timeout`
    (threads wait), or without `tcp_keepalives_idle` in compose/db.yaml (the server keeps dead sessions).
    """
    sessions = "select pid from pg_stat_activity where backend_type = 'client backend' and usename = 'app'"
    with endured(prod, "database-cut-off") as ordeal:
        before = set(prod.sql(f"{sessions} and pid <> pg_backend_pid()").split())
        with _cut_off(prod, "db"):
            end = time.monotonic() + _CUT_SECONDS
            visitor = Site(prod.url, timeout=_ANSWER_SECONDS)
            while time.monotonic() < end:
                assert visitor.get("/healthz/live").status_code == 200
                assert visitor.get("/").status_code in (200, 500, 502)
        ordeal.end()
    assert before
    eventually(
        lambda: not before & set(prod.sql(sessions).split()), "the server to give up its sessions", timeout=90
    )
