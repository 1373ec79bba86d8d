"""What is being built: the git revision of the project, for labels and for ``data-release``."""

from __future__ import annotations

from pathlib import Path

from slipway.run import Runner

__all__ = ["describe"]


def describe(folder: Path, runner: Runner) -> dict[str, str]:
    """``REVISION`` (full git hash or ``unknown``) and ``RELEASE`` (short hash, ``-dirty`` when changed).

    ``folder`` is the project's; without git, or outside a repository, the release is ``dev``.
    """
    head = runner.capture(["git", "-C", str(folder), "rev-parse", "HEAD"])
    if head.returncode != 0:
        return {"REVISION": "unknown", "RELEASE": "dev"}
    revision = head.stdout.strip()
    status = ["git", "-C", str(folder), "status", "--porcelain", "--", "."]
    dirty = runner.capture(status).stdout.strip()
    return {"REVISION": revision, "RELEASE": revision[:12] + ("-dirty" if dirty else "")}
