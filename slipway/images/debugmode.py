"""Checks before a build, from the project's files, whether production's settings turn Django's DEBUG on.

The build itself reads the settings as Django does and decides (docker/collect_static.py); this check names
the line, and a fix that it has tried on the same files.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.config.settings import Settings
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.project import reading
from slipway.project.layout import Layout
from slipway.project.reading import Reading

__all__ = ["check"]

_OFF = ("0", "False", "false", "off", "no", "")


def check(settings: Settings) -> None:
    """Raise ``SlipwayError`` SLIP-178 when DEBUG is on; with ALLOW_DEBUG=on only print a warning.

    A value that is known only by running the project is not reported.
    """
    entries: dict[str, envfile.Entry] = {}
    for name in (settings.app_env, settings.app_prod_env):
        if settings.path(name).is_file():
            entries |= envfile.read(settings.path(name))
    values = {name: entry.value for name, entry in entries.items()}
    found = _read(settings, values)
    if "DEBUG" in settings.settings_overlay or found is None or not _is_on(found):
        return
    problem = f"production would run with DEBUG on: {found.where('DEBUG')}{_decided(found, entries)}"
    if settings.allow_debug == "on":
        note(f"warning: SLIP-178: {problem}; fix: ALLOW_DEBUG=on allows it: remove it when you are done")
        return
    raise SlipwayError(
        "SLIP-178", problem, f"{_fix(settings, found, entries)}; if intended, set ALLOW_DEBUG=on in .env"
    )


def _read(settings: Settings, values: Mapping[str, str]) -> Reading | None:
    project = settings.path(settings.project_root)
    manage = project / settings.manage_dir
    layout = Layout(
        root=project,
        manage=manage,
        settings=values.get("DJANGO_SETTINGS_MODULE") or settings.settings_module,
        configuration=values.get("DJANGO_CONFIGURATION", ""),
        search=(manage, *(project / folder for folder in settings.pythonpath_dirs)),
    )
    try:
        return reading.read(layout, dict(values))
    except SlipwayError:
        # A build reports it better, with Python's own message.
        return None


def _is_on(found: Reading) -> bool:
    debug = found.get("DEBUG", False)
    return isinstance(debug, bool | int | str) and bool(debug)


def _decided(found: Reading, entries: Mapping[str, envfile.Entry]) -> str:
    by = [f"{name} in {entries[name].where}" for name in found.deciding("DEBUG") if name in entries]
    return f", by {' and '.join(by)}" if by else ""


def _fix(settings: Settings, found: Reading, entries: Mapping[str, envfile.Entry]) -> str:
    """Return a fix: without the variable or with another value, if trying that worked, else the overlay."""
    values = {name: entry.value for name, entry in entries.items()}

    def is_off(tried: Mapping[str, str]) -> bool:
        after = _read(settings, tried)
        return after is not None and after.get("DEBUG", False) in (False, 0, "")

    names = [name for name in found.deciding("DEBUG") if name != "DJANGO_SETTINGS_MODULE"]
    for name in sorted(names, key=lambda name: "DEBUG" not in name):
        if name in entries and is_off({n: v for n, v in values.items() if n != name}):
            return f"remove {name} from {entries[name].path.name}; it belongs in {settings.app_dev_env}"
        if value := next((f"{name}={text}" for text in _OFF if is_off({**values, name: text})), None):
            return f"set {value} in {settings.app_prod_env}"
    if values.get("DJANGO_CONFIGURATION"):
        return f"set DEBUG = False at {found.where('DEBUG')}"
    return f"set SETTINGS_OVERLAY='{' '.join([*settings.settings_overlay, 'DEBUG'])}' in {settings.env_file}"
