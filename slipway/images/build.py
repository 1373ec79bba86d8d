"""Builds the stack's images on existing base images, and describes the code that a build would use."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slipway.config import place
from slipway.config.settings import record_machine, recorded
from slipway.core.errors import SlipwayError
from slipway.images import bases, revision
from slipway.orchestrators import init
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session

__all__ = ["checked_out", "ensure_bases", "failing_line", "run_build"]


def run_build(
    session: Session,
    stack: Stack,
    services: Sequence[str] = (),
    *,
    no_cache: bool = False,
    progress: str | None = None,
) -> None:
    """Build ``services`` of ``stack`` without earlier checks; ``progress`` as in ``Stack.build``.

    Raises ``SlipwayError`` SLIP-050, or SLIP-172 when Compose fails before a build begins.
    """
    runner = session.runner
    if not runner.dry:
        init.record_build(session.settings)
    argv = stack.build(services, no_cache=no_cache, progress=progress)
    if runner.run(argv, check=False, aside=True).returncode == 0:
        return
    # Rerun with line-by-line output to read the error: successful steps are cached, the rest fails at once.
    again = runner.capture(stack.build(services, progress="plain"))
    said = again.stdout + again.stderr
    if not re.search(r"^#\d+ ", said, re.MULTILINE):
        raise SlipwayError(
            "SLIP-172",
            f"docker compose ended before it built anything: {failing_line(said)}",
            "its own message is above; it names the file, the variable or the engine's refusal",
        )
    raise SlipwayError(
        "SLIP-050",
        f"the image build failed: {failing_line(said)}",
        "the step and its output are above; docs/errors.md has the usual causes",
    )


def ensure_bases(session: Session, *, force: bool = False) -> dict[str, str]:
    """Get the base images and record stand-ins; return the references in use by variable.

    ``force`` rebuilds stand-ins, for Debian's newest packages.
    """
    settings, runner = session.settings, session.runner
    images = settings.images()
    # Images that the user has named in .env or the environment are never replaced.
    pinned = [name for name in images if settings.is_set_by_hand(name)]
    replaced = bases.ensure(images, runner, pinned)
    if not runner.dry:
        record_machine(settings.root, replaced)
    used = {**images, **replaced}
    if force:
        for variable, reference in used.items():
            bases.build(bases.stand_in_for(variable, reference), runner, force=True)
    return used


def checked_out(session: Session) -> dict[str, str]:
    """Return ``REVISION`` and ``RELEASE`` of the checkout, as production's next build would record them."""
    settings = session.settings
    facts = revision.describe(settings.path(settings.project_root), session.runner, place.own_paths(settings))
    known = recorded(settings.root)
    # Code that was deployed under a chosen name keeps the name as long as it is checked out.
    if facts["RELEASE"] == known.get("SOURCE"):
        facts["RELEASE"] = known.get("RELEASE", facts["RELEASE"])
    return facts


def failing_line(build_output: str) -> str:
    """Return the last line that the failing build step printed, from BuildKit's plain output.

    uv ends with a hint, often about something else: then return the last error before the hint.
    """
    said: list[str] = []
    engine_error = ""
    for line in build_output.splitlines():
        printed = re.match(r"#\d+ (?:\d+\.\d+ (?P<step>.+)|ERROR: (?P<error>.+))", line)
        if printed and printed["step"] and printed["step"].strip():
            said.append(printed["step"].strip())
        elif printed and printed["error"]:
            engine_error = printed["error"]
    without = said[:]
    while without and without[-1].startswith("hint: "):
        without.pop()
    if without and len(without) < len(said):
        errors = [line for line in without if re.match(r"\w*error:", line, re.IGNORECASE)]
        return (errors or without)[-1]
    rest = build_output.strip().splitlines()
    return said[-1] if said else engine_error or (rest[-1] if rest else "no output")
