"""How large the production image is."""

from __future__ import annotations

from tests.bench.pairs import Pairs
from tests.bench.results import Result
from tests.bench.setups import Setup, ours, usual
from tests.bench.workshop import Workshop

__all__ = ["MEASURES"]


def size(place: Workshop, runs: int) -> Result:
    """Megabytes of all layers, the base image's among them. One sample: bytes do not vary."""
    ours_size, usual_size = _megabytes(ours(place)), _megabytes(usual(place, "two-stage-pip"))
    return Result("size", "MB", Pairs([ours_size], [usual_size]), "bytes do not vary: measured once")


def _megabytes(setup: Setup) -> float:
    setup.build()
    return int(setup.engine.docker("image", "inspect", "--format={{.Size}}", setup.image)) / 1000**2


MEASURES = {"size": size}
