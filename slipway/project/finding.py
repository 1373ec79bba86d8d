"""What the scan says: findings for .env, lines for app.env, what is left to the person, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Finding", "Findings", "Open", "Warned"]


@dataclass(frozen=True)
class Finding:
    """A variable's value, and why it has it.

    ``file`` is ``.env`` or the file of the project's variables it belongs in, ``where`` the FILE:LINE of
    the project that says so. What is not ``sure`` is a guess: setting ``variable`` otherwise decides it.
    """

    variable: str
    value: str
    why: str
    where: str = ""
    sure: bool = True
    file: str = ".env"


@dataclass(frozen=True)
class Open:
    """A variable the settings require and only the person knows; ``value`` stands in its place until then."""

    variable: str
    value: str
    why: str
    where: str = ""


@dataclass(frozen=True)
class Warned:
    """Something in the project that the kit cannot decide or fix."""

    text: str
    where: str = ""


@dataclass
class Findings:
    """Everything the scan has found, in the order in which it is told."""

    found: list[Finding] = field(default_factory=list)
    left: list[Open] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    stops: list[Warned] = field(default_factory=list)
    """What keeps the project from starting, whatever its variables are."""

    def say(self, variable: str, value: str, why: str, where: str = "", *, sure: bool = True) -> None:
        """Add a finding for ``.env``; the first for a variable stands."""
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
        """Say what the kit cannot decide."""
        if Warned(text, where) not in self.warnings:
            self.warnings.append(Warned(text, where))

    def take_back(self, variable: str, file: str = ".env") -> None:
        """Forget what was found for a variable: what follows knows better."""
        self.found[:] = [f for f in self.found if (f.variable, f.file) != (variable, file)]

    def value(self, variable: str, file: str = ".env") -> str | None:
        """What was found for a variable."""
        return next((f.value for f in self.found if (f.variable, f.file) == (variable, file)), None)
