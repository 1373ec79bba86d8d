"""Results of the scan: findings for .env and app.env, questions left to the person, and problems."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Finding", "Findings", "Open", "Warned"]


@dataclass(frozen=True)
class Finding:
    """A variable's value and the reason for it.

    ``file`` is ``.env`` or the file of the project's variables it belongs in, ``where`` the FILE:LINE of
    the project that shows it. Without ``sure`` it is a guess; the person may set ``variable`` otherwise.
    """

    variable: str
    value: str
    why: str
    where: str = ""
    sure: bool = True
    file: str = ".env"


@dataclass(frozen=True)
class Open:
    """A variable that the settings require and only the person knows; ``value`` is a placeholder for it."""

    variable: str
    value: str
    why: str
    where: str = ""


@dataclass(frozen=True)
class Warned:
    """A problem in the project that the kit cannot decide or fix."""

    text: str
    where: str = ""


@dataclass
class Findings:
    """Everything the scan has found, in the order of the report."""

    found: list[Finding] = field(default_factory=list)
    left: list[Open] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    stops: list[Warned] = field(default_factory=list)
    """Problems that keep the project from starting, with any values of its variables."""

    def say(self, variable: str, value: str, why: str, where: str = "", *, sure: bool = True) -> None:
        """Add a finding for ``.env``; a variable keeps its first one."""
        if self.value(variable) is None:
            self.found.append(Finding(variable, value, why, where, sure))

    def tell(
        self,
        variable: str,
        value: str,
        why: str,
        where: str = "",
        *,
        sure: bool = True,
        file: str = "app.env",
    ) -> None:
        """Add a finding for a file of the project's variables."""
        if self.value(variable, file) is None:
            self.found.append(Finding(variable, value, why, where, sure, file))

    def ask(self, variable: str, value: str, why: str, where: str = "") -> None:
        """Leave a variable to the person."""
        self.left.append(Open(variable, value, why, where))

    def warn(self, text: str, where: str = "") -> None:
        """Add a warning about something that the kit cannot decide."""
        if Warned(text, where) not in self.warnings:
            self.warnings.append(Warned(text, where))

    def take_back(self, variable: str, file: str = ".env") -> None:
        """Remove the finding for a variable, so that a later one can replace it."""
        self.found[:] = [f for f in self.found if (f.variable, f.file) != (variable, file)]

    def value(self, variable: str, file: str = ".env") -> str | None:
        """The value found for a variable; None if there is none."""
        return next((f.value for f in self.found if (f.variable, f.file) == (variable, file)), None)
