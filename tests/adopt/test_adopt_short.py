"""The most telling project of all: what differs between machines is written into it."""

from __future__ import annotations

from collections.abc import Callable

from adoptkit import Adopted
from projectkit import Project
from projects import pip_tree

Beside = Callable[[Project], Adopted]


def test_a_tree_of_requirements_and_a_package_of_settings(beside: Beside) -> None:
    """Red when only the file named on top of the tree reaches the build, or an index line stops it."""
    beside(pip_tree.PROJECT).prove()
