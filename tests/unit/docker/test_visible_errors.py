"""docker/visible_errors.py: an answer 500 leaves its traceback in the log, once."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from kitfiles import load


class AdminEmailHandler(logging.Handler):
    """Stands for Django's, which is known by its name: it mails, and prints nothing."""


def _only_with_debug(handler: logging.Handler) -> logging.Handler:
    handler.addFilter(lambda record: False)
    return handler


def _level(handler: logging.Handler, level: int) -> logging.Handler:
    handler.setLevel(level)
    return handler


@pytest.fixture
def loggers(monkeypatch: pytest.MonkeyPatch) -> dict[str, logging.Logger]:
    """Django's loggers without a handler, below a root of their own: pytest has handlers at the real one."""
    found = {"": logging.Logger("root"), **{n: logging.getLogger(n) for n in ("django", "django.request")}}
    monkeypatch.setattr(found["django"], "parent", found[""])
    for logger in found.values():
        monkeypatch.setattr(logger, "handlers", [])
        monkeypatch.setattr(logger, "propagate", True)
    return found


DJANGOS_OWN = {"django": lambda: [_only_with_debug(logging.StreamHandler()), AdminEmailHandler()]}


@pytest.mark.parametrize(
    ("handlers", "cut_off", "told"),
    [
        ({}, (), ["django"]),
        (DJANGOS_OWN, (), ["django"]),
        ({"django": lambda: [logging.NullHandler()]}, (), ["django"]),
        ({"": lambda: [_level(logging.StreamHandler(), logging.CRITICAL)]}, (), ["django"]),
        ({"": lambda: [logging.StreamHandler()]}, (), []),
        ({"django": lambda: [_level(logging.StreamHandler(), logging.WARNING)]}, (), []),
        (
            {"": lambda: [logging.StreamHandler()], "django.request": lambda: [AdminEmailHandler()]},
            ("django.request",),
            ["django.request"],
        ),
    ],
)
def test_errors_are_shown_where_nothing_else_shows_them(
    loggers: dict[str, logging.Logger], handlers: Any, cut_off: tuple[str, ...], told: list[str]
) -> None:
    """Red when a handler that mails counts as one that shows, or `propagate` is not minded."""
    for name, make in handlers.items():
        loggers[name].handlers.extend(make())
    for name in cut_off:
        loggers[name].propagate = False
    before = {name: list(logger.handlers) for name, logger in loggers.items()}
    load("visible_errors").show_errors()
    assert [name for name, logger in loggers.items() if logger.handlers != before[name]] == told


def test_a_traceback_is_written_once_and_warnings_are_not(
    loggers: dict[str, logging.Logger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Red when both loggers get a handler, or the handler takes what is no error."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    load("visible_errors").show_errors()
    request = loggers["django.request"]
    request.warning("Not Found: /")
    try:
        raise ValueError("the key is empty")
    except ValueError:
        request.exception("Internal Server Error: /")
    assert written.getvalue().count("ValueError: the key is empty") == 1
    assert "Not Found" not in written.getvalue()
