"""Frees disk space: first lists what would be removed, then removes only this project's own objects."""

from __future__ import annotations

from slipway.core.consent import require_consent
from slipway.core.output import human_size, note, rows
from slipway.engine import engine
from slipway.orchestrators.session import Session

__all__ = ["prune"]


def prune(session: Session, *, volumes: bool, system: bool, yes: bool, as_json: bool) -> None:
    """Remove objects that this stack no longer uses; volumes only with ``volumes``.

    ``system`` prunes the engine, for every project on the machine: unused containers, networks, dangling
    images and the build cache; never volumes. Raises ``SlipwayError`` SLIP-069 without consent.
    """
    runner = session.runner
    if system:
        if not runner.dry:
            runner.run(["docker", "system", "df"])
            require_consent("Remove everything that NO project here uses, and the build cache?", yes)
        runner.run(["docker", "system", "prune", "--force"])
        return
    if not runner.dry:
        found = engine.leftovers(session.stack.project, volumes=volumes)
        data = [
            {"kind": kind, "names": names}
            for kind, names in (
                ("containers", found.containers),
                ("images", found.images),
                ("networks", found.networks),
                ("volumes", found.volumes),
            )
            if names
        ]
        if as_json:
            rows([*data, {"kind": "bytes", "names": found.size}], ("kind", "names"), as_json=True)
        if not data:
            note(f"{session.stack.project} has nothing to prune")
            return
        if not as_json:
            rows(data, ("kind", "names"), as_json=False)
            note(f"frees about {human_size(found.size)}")
        require_consent(f"Remove these of {session.stack.project}?", yes)
    for kind, flags in (
        ("container", []),
        ("image", []),
        ("network", []),
        # --all: by default Docker keeps named volumes, and here all volumes have names.
        *((("volume", ["--all"]),) if volumes else ()),
    ):
        label = f"label={engine.PROJECT_LABEL}={session.stack.project}"
        runner.run(["docker", kind, "prune", "--force", *flags, "--filter", label])
