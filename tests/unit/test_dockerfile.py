"""How stages of the Dockerfile hand things to each other."""

from __future__ import annotations

import re

from tests.support.world import ROOT

# Where npm's paths are what they are in production.
IN_PLACE = {("assets", "/app")}


def test_what_stages_hand_over_is_not_in_the_root() -> None:
    """Red when a mount or a COPY takes a folder of ``/`` from a stage that stands on an image.

    BuildKit looks through all of the folder that it lies in, on every build that makes it anew.
    """
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    empty = set(re.findall(r"^FROM (?:scratch|project\S*) AS (\S+)", text, re.MULTILINE))
    mounts = re.findall(r"--mount=type=bind,from=([\w-]+),source=(/\S+?),", text)
    copies = re.findall(r"^COPY --from=([\w-]+) (/\S*)", text, re.MULTILINE)
    taken = {(stage, path.rstrip("/")) for stage, path in (*mounts, *copies)}
    assert len(taken) > 10
    in_root = {(stage, path) for stage, path in taken if path.count("/") == 1 and stage not in empty}
    assert in_root == IN_PLACE


def test_a_mode_that_copy_sets_can_be_a_folders() -> None:
    """Red with ``COPY --chmod=0644``: BuildKit of Engine 28 gives it to the folder that it makes, too.

    Nobody but root can look into such a folder.
    """
    files = [ROOT / "Dockerfile", *(ROOT / "docker").rglob("*Dockerfile")]
    modes = {
        (path.relative_to(ROOT), mode)
        for path in files
        for mode in re.findall(r"^(?:COPY|ADD) .*?--chmod=(\S+)", path.read_text("utf-8"), re.MULTILINE)
    }
    assert len({path for path, _ in modes}) > 1
    assert {mode for _, mode in modes} == {"0755"}


def test_every_base_image_has_a_default() -> None:
    """Red without one: `docker build --check` warns of it (InvalidDefaultArgInFrom)."""
    files = [ROOT / "Dockerfile", *(ROOT / "docker").rglob("*Dockerfile")]
    assert len(files) > 5
    for path in files:
        head, *_ = re.split(r"^FROM ", path.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)
        froms = " ".join(re.findall(r"^FROM (\S+)", path.read_text("utf-8"), re.MULTILINE))
        defaults = dict(re.findall(r"^ARG (\w+)=?(.*)$", head, re.MULTILINE))
        used = set(re.findall(r"\$\{(\w+)\}", froms))
        assert {name for name in used if defaults.get(name, "").strip('"')} == used, path
