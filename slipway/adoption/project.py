"""The scanned project: layout, packages, assumed variables, and the settings under them."""

from __future__ import annotations

from dataclasses import dataclass, field

from slipway.config.settings import variables
from slipway.project import reading
from slipway.project.dependencies import Dependencies
from slipway.project.finding import Findings
from slipway.project.layout import Layout
from slipway.project.reading import Reading

__all__ = ["Project"]


@dataclass
class Project:
    """The state that the parts of the scan share; they add the variables they decide to ``assumed``."""

    layout: Layout
    dependencies: Dependencies
    findings: Findings
    given: dict[str, str] = field(default_factory=dict)
    """The variables that the person's env files have already."""
    assumed: dict[str, str] = field(default_factory=dict)
    """The variables of the project, with placeholder values for those that only the person knows."""
    database: tuple[str, str] = ("app", "app")
    """Name and user of the stack's database, from ``.env``."""
    overlay: list[str] = field(default_factory=list)
    """Settings for SETTINGS_OVERLAY."""
    data: list[str] = field(default_factory=list)
    """Entries for DATA_PATHS."""
    _latest: tuple[dict[str, str], Reading] | None = None

    @property
    def settings(self) -> Reading:
        """The settings under the present assumptions."""
        if self._latest is None or self._latest[0] != self.assumed:
            self._latest = dict(self.assumed), reading.read(self.layout, self.assumed)
        return self._latest[1]

    def with_values(self, **values: str) -> Reading:
        """Return the settings that other values of variables would give."""
        return reading.read(self.layout, {**self.assumed, **values})

    def give(self, variable: str, value: str, why: str, *, sure: bool = True, file: str = "app.env") -> None:
        """Set a variable of the project, unless the person has set it."""
        if variable in self.given:
            self.assumed[variable] = self.given[variable]
            return
        where = self.settings.where_read(variable)
        self.findings.left[:] = [entry for entry in self.findings.left if entry.variable != variable]
        if file == "app.env":
            self.assumed[variable] = value
        # The scan learns later what the variable means: replace an earlier finding.
        found = self.findings.found
        found[:] = [f for f in found if (f.variable, f.file) != (variable, file) or f.value == value]
        self.findings.tell(variable, value, why, where, sure=sure, file=file)

    def override(self, setting: str, why: str, *, sure: bool = True) -> None:
        """Have the kit's overlay set a setting that the project's files fix."""
        if setting in self.overlay:
            return
        if self.layout.configuration:
            where = self.settings.where(setting)
            self.findings.warn(f"{setting}: {why}; django-configurations rules out the overlay", where)
            return
        try:
            variables()["SETTINGS_OVERLAY"].convert(setting)
        except ValueError:
            self.findings.warn(f"{setting}: {why}, but the kit cannot set it", self.settings.where(setting))
            return
        self.overlay.append(setting)
        self.findings.take_back("SETTINGS_OVERLAY")
        where = self.settings.where(setting)
        self._whys.append(f"{setting} ({where}): {why}" if where else f"{setting}: {why}")
        self.findings.say("SETTINGS_OVERLAY", " ".join(self.overlay), "; ".join(self._whys), sure=sure)

    _whys: list[str] = field(default_factory=list)
