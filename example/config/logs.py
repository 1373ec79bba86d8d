"""Log records as JSON lines that carry the id of the request they belong to."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

# A context variable and not a thread local: under ASGI many requests share a thread. It is never
# reset: Django and the server still log about a request after the last middleware is done.
request_id: ContextVar[str] = ContextVar("request_id", default="-")

# The attributes of every record; all others come from ``extra``.
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}
PROBES = "/healthz/"


class RequestIdFilter(logging.Filter):
    """Adds ``request_id`` to each record: that of the current request, or ``-``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True


class ProbeFilter(logging.Filter):
    """Drops Django's own records about answers to probes, which come every few seconds.

    A failing check still logs a warning of its own, see ``config.health``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.name in ("django.request", "django.server") and PROBES in record.getMessage())


class JsonFormatter(logging.Formatter):
    """One JSON object per record, on one line, times in UTC as ISO 8601."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": getattr(record, "request_id", "-"),
        }
        # "request" is Django's extra: the request object, which is useless in a log line.
        line |= {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "request"}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        return json.dumps(line, default=str)
