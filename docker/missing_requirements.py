"""Print the entries of a requirements file whose packages this Python has not installed, in any version.

missing_requirements.py FILE
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path


def normalized(name: str) -> str:
    """Return a package's name as PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def missing(text: str, installed: set[str]) -> str:
    """Return ``text`` without the entries of ``installed`` (normalized names); hashes go with them."""
    entries = re.split(r"(?m)^(?=[A-Za-z0-9])", text)
    return "".join(e for e in entries if normalized(re.split(r"[=<>~! \[;]", e)[0]) not in installed)


if __name__ == "__main__":
    there = {normalized(found.metadata["Name"] or "") for found in distributions()}
    print(missing(Path(sys.argv[1]).read_text(encoding="utf-8"), there).strip())
