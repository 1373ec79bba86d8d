"""What the tests of services share: the project's questions, and edits of the copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.support.world import World, docker

SCHEDULED = ("slow", "tidy")
BESIDE = ("beat", "heart-beat", *SCHEDULED, "worker")
PROJECT = Path(__file__).parent / "project"
# The stand-in is what a machine without a registry has; where the official image is, it is the same to these.
SERVICES = {
    "PROJECT_ROOT": "project",
    "REDIS": "on",
    "REDIS_IMAGE": "slipway/valkey:8.1-trixie",
    "CELERY_APP": "config",
    "CELERY_BEAT": "on",
    "EXTRA_DATABASES": "reports",
    "MIGRATE_DATABASES": "'default reports'",
    "PROCESS_HEART_BEAT": "'python manage.py heartbeat \"a word\"'",
    # Production's alone.
    "CRON_TIDY": "* * * * * python manage.py note tidied --code 3",
    "CRON_SLOW": "* * * * * sleep 100",
}
APP_ENV = """\
SECRET_KEY={{secret:secret_key}}
DATABASE_PASSWORD={{secret:postgres_password}}
BROKER_URL=redis://redis:6379/0
CACHE_URL=redis://redis:6379/1
"""


def send(own: World, word: str, seconds: float = 0) -> None:
    """Ask the worker to write ``word`` after ``seconds``."""
    done = httpx.get(f"{own.url}/send/{word}", params={"seconds": seconds}, trust_env=False, timeout=30)
    assert done.text == "sent", done.text


def seen(own: World, word: str) -> dict[str, Any]:
    """Which releases have written ``word``, how often it is reported, and what the cache knows of it."""
    found = httpx.get(f"{own.url}/seen/{word}", trust_env=False, timeout=30)
    found.raise_for_status()
    answer: dict[str, Any] = found.json()
    return answer


def images(own: World) -> dict[str, str]:
    """The release of each running container of the project's image that stays, by service."""
    found = {}
    for container in own.containers(everything=False):
        image = container["Config"]["Image"]
        if image.startswith(f"{own.project}-web"):
            found[container["Config"]["Labels"]["com.docker.compose.service"]] = image.partition(":")[2]
    # One-shots of a deploy that was taken back may be at work yet.
    return {name: release for name, release in found.items() if name not in {"migrate", "static"}}


def since(own: World, release: str, word: str) -> int:
    """How often ``release`` has written ``word``."""
    return int(own.sql(f"select count(*) from jobs_entry where word = '{word}' and release = '{release}'"))


def query(own: World, database: str, statement: str) -> str:
    """The answer of one of the stack's databases."""
    container = f"{own.project}-db-1"
    return docker("exec", container, "psql", "-U", "app", "-d", database, "-Atc", statement).strip()


@contextlib.contextmanager
def appended(own: World, path: str, text: str) -> Iterator[None]:
    """``path`` of the copy with ``text`` at its end, for a while."""
    file = own.root / path
    before = file.read_text()
    file.write_text(before + text)
    try:
        yield
    finally:
        file.write_text(before)
