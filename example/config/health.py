"""Health endpoints for container engines and load balancers.

``live`` succeeds while the process answers; a failure means "restart it", so it depends on nothing else.
``ready`` succeeds when requests can be served; a failure means "send none for now".
"""

import logging
from concurrent.futures import ThreadPoolExecutor

from django.db import DEFAULT_DB_ALIAS, connections
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = logging.getLogger("guestbook.health")

# Seconds. The database has this long to accept a connection and answer, name lookup included.
DEADLINE = 3

# One thread: while a check hangs (a name server that does not answer cannot be interrupted), later
# ones wait in line and time out too, instead of piling up threads.
_executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer 200 without touching the database or the session."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers within the deadline, otherwise 503 that names what failed."""
    check = _executor.submit(_ask_database)
    try:
        check.result(timeout=DEADLINE)
    except Exception as error:
        check.cancel()
        reason = f"no answer within {DEADLINE} s" if isinstance(error, TimeoutError) else str(error).strip()
        # The details may name hosts and users: they belong in the log, not in a public answer.
        logger.warning("not ready: database: %s", reason)
        return JsonResponse({"status": "error", "failed": ["database"]}, status=503)
    return JsonResponse({"status": "ok"})


def _ask_database() -> None:
    # A connection of its own: the pool may be in use to the last one by slow requests, and taking
    # a busy replica out of service would load the others even more.
    probe = connections.create_connection(DEFAULT_DB_ALIAS).copy()
    if probe.vendor == "postgresql":
        probe.settings_dict["OPTIONS"].pop("pool", None)
        probe.settings_dict["OPTIONS"]["connect_timeout"] = DEADLINE
    try:
        with probe.cursor() as cursor:
            cursor.execute("SELECT 1")
    finally:
        probe.close()
