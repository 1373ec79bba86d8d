"""Errors that a user can fix: one clear message, a stable code, a fix, never a traceback."""

from __future__ import annotations

from invoke.exceptions import Exit

__all__ = ["SlipwayError"]


class SlipwayError(Exit):
    """An error that the person at the keyboard can fix.

    ``code`` is stable (``SLIP-012``) and has a section in ``docs/errors.md``; ``message`` says what is
    wrong, ``fix`` how to fix it. Invoke prints it and exits with ``exit_code``.
    """

    def __init__(self, code: str, message: str, fix: str, exit_code: int = 1) -> None:
        self.slip_code = code
        self.problem = message
        self.fix = fix
        super().__init__(f"{code}: {message}\n  fix: {fix}", exit_code)

    def __str__(self) -> str:
        return str(self.message)
