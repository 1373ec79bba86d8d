"""The request log: one line per request, and the request id that ties a request's lines together."""

import logging
import re
import uuid
from time import perf_counter

from asgiref.sync import iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware
from django.utils.encoding import escape_uri_path

from config.logs import PROBES, request_id

logger = logging.getLogger("guestbook.request")

# The form of nginx's $request_id and of common tracing ids. Any other text could forge log lines.
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def _begin(request) -> float:
    sent = request.headers.get("X-Request-ID", "")
    request.id = sent if _ACCEPTABLE.fullmatch(sent) else uuid.uuid4().hex
    request_id.set(request.id)
    return perf_counter()


def _finish(request, response, started: float):
    response.headers["X-Request-ID"] = request.id
    if not request.path.startswith(PROBES):
        path = escape_uri_path(request.path)  # as sent: decoded, it may hold line breaks
        logger.info(
            "%s %s %s",
            request.method,
            path,
            response.status_code,
            extra={
                "method": request.method,
                "path": path,
                "status": response.status_code,
                "duration_ms": round((perf_counter() - started) * 1000, 1),
            },
        )
    return response


@sync_and_async_middleware
def request_log(get_response):
    """Take the id from ``X-Request-ID`` or make one, log the request, send the id back.

    The id is at hand as ``request.id`` and in every record logged meanwhile.
    """
    if iscoroutinefunction(get_response):

        async def middleware(request):
            started = _begin(request)
            return _finish(request, await get_response(request), started)

    else:

        def middleware(request):
            started = _begin(request)
            return _finish(request, get_response(request), started)

    return middleware
