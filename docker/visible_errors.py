"""Show errors of requests in the container's log, where the project's LOGGING shows them to nobody.

Django's own logging prints to the console only with DEBUG on, and otherwise mails ADMINS
(https://docs.djangoproject.com/en/stable/ref/logging/#default-logging-configuration): a project without
ADMINS and LOGGING answers 500 and says nothing about it anywhere.
"""

from __future__ import annotations

import logging

# Both: a project may cut the second off from the first (propagate).
LOGGERS = ("django", "django.request")
# Handlers that do not write to the container's log. Compared by name, because Django's own handler cannot be
# imported where there is no Django.
_ELSEWHERE = {"AdminEmailHandler", "NullHandler"}


def show_errors() -> None:
    """Add a handler to stderr to each of ``LOGGERS`` whose errors reach no other handler."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not _is_shown(logger):
            handler = logging.StreamHandler()
            handler.setLevel(logging.ERROR)
            logger.addHandler(handler)


def _is_shown(logger: logging.Logger) -> bool:
    record = logging.LogRecord(logger.name, logging.ERROR, __file__, 0, "an error", None, None)
    current: logging.Logger | None = logger
    while current is not None:
        if any(_takes(handler, record) for handler in current.handlers):
            return True
        current = current.parent if current.propagate else None
    return False


def _takes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    if _ELSEWHERE.intersection(kind.__name__ for kind in type(handler).__mro__):
        return False
    return handler.level <= record.levelno and bool(handler.filter(record))
