"""Whatever `.env` may say reaches nginx in a form that it takes."""

from __future__ import annotations

import pytest
from world import World

from tests.unit.config.test_settings_values import TABLE

# As compose/prod.yaml hands them on, under names that begin with NGINX_.
_HANDED_ON = (
    "SERVER_NAMES", "CLIENT_MAX_BODY_SIZE", "PROXY_TIMEOUT", "LOGIN_RATE", "LOGIN_PATHS", "TRUSTED_PROXY",
    "LARGE_CLIENT_HEADER_BUFFERS",
    "MAINTENANCE_ALLOW", "HTTPS_PORT", "HSTS_SECONDS", "LOG_FORMAT", "STATIC_URL", "MEDIA_URL",
    "HEALTH_READY_PATH", "RELEASE",
)  # fmt: skip


def test_nginx_takes_every_value_that_the_tasks_take(world: World) -> None:
    """Red when a grammar lets something through that ``nginx -t`` refuses: the person is told too late."""
    nginx = world.start_nginx()
    refused = []
    for name in _HANDED_ON:
        for value in TABLE[name].right:
            try:
                nginx.publish(**{f"NGINX_{name}": value})
            except AssertionError as error:
                refused.append(f"{name}={value}: {str(error).splitlines()[-1]}")
    assert refused == []


def test_what_nginx_refuses_never_takes_the_place_of_what_serves(world: World) -> None:
    """Red when the draft is put in place untested."""
    nginx = world.start_nginx()
    before = nginx.exec("sh", "-c", "readlink /srv/nginx/live; cat /srv/nginx/live/identity")
    with pytest.raises(AssertionError):
        nginx.publish(NGINX_SERVER_NAMES="a.test,b.test;{")
    assert nginx.exec("sh", "-c", "readlink /srv/nginx/live; cat /srv/nginx/live/identity") == before
