"""What a test's own copy of the kit takes over from this one."""

from __future__ import annotations

import pytest

from tests.support.world import chosen_images


@pytest.mark.parametrize(
    "image", ["python:3.12-slim-trixie", "mirror.example/python:3.13", "slipway/python:3.14"]
)
def test_an_image_that_was_chosen_reaches_the_copy(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    """Red when only names with a / do: the official images would be left out (docs/ci.md)."""
    monkeypatch.setenv("PYTHON_IMAGE", image)
    assert chosen_images()["PYTHON_IMAGE"] == image


def test_the_default_is_not_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when it is written into the copy: PYTHON_VERSION would count for nothing there."""
    monkeypatch.setenv("PYTHON_IMAGE", "python:3.13-slim-trixie")
    assert "PYTHON_IMAGE" not in chosen_images()
