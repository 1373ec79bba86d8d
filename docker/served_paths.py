"""Compare the project's settings with the kit's containers, for static files and uploads."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["differences", "url_path"]

_IN_MEMORY = ("/tmp/", "/dev/shm/", "/run/")  # noqa: S108


def url_path(url: str | None) -> str:
    """Return the path under which nginx would serve ``url``, with a slash at both ends.

    Empty where there is nothing to serve: the address of another host, or the root of the site, which is the
    application's.
    """
    if not url or "://" in url or url.startswith("//"):
        return ""
    inner = url.strip("/")
    return f"/{inner}/" if inner else ""


def differences(project: Mapping[str, str | None], kit: Mapping[str, str]) -> list[str]:
    """Return a warning for each of STATIC_URL, MEDIA_URL and MEDIA_ROOT that differs, and uploads in memory.

    ``project`` holds the settings, ``kit`` the variables. Unused ones are not compared.
    """
    found = []
    for name, used, effect in (
        ("STATIC_URL", project.get("STATIC_ROOT"), "nginx serves static files"),
        ("MEDIA_URL", project.get("MEDIA_ROOT"), "nginx serves uploads"),
    ):
        theirs = url_path(project.get(name))
        if used and theirs and theirs != url_path(kit[name]):
            found.append(_warning(name, project.get(name), f"{effect} under {kit[name]}", theirs))
    theirs = (project.get("MEDIA_ROOT") or "").rstrip("/")
    if theirs and theirs != kit["MEDIA_ROOT"].rstrip("/"):
        found.append(_warning("MEDIA_ROOT", theirs, f"uploads are only kept in {kit['MEDIA_ROOT']}", theirs))
    spool = project.get("FILE_UPLOAD_TEMP_DIR") or ""
    if f"{spool}/".startswith(_IN_MEMORY):
        found.append(
            f"SLIP-185: the project's FILE_UPLOAD_TEMP_DIR is {spool}, which is memory in production: a large"
            " upload fills it; fix: remove the setting; then uploads are buffered on a disk (TMPDIR)"
        )
    return found


def _warning(name: str, theirs: str | None, ours: str, fix: str) -> str:
    return f"SLIP-133: the project's {name} is {theirs}, but {ours}; fix: {name}={fix} in .env"
