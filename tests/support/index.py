"""Where this machine's own Python packages come from, so that no address stands in a tracked file."""

from __future__ import annotations

import subprocess

from slipway.host.mirrors import pip_index


def _default_index() -> str:
    """Ask pip for the index it uses unconfigured."""
    script = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    command = ["uv", "run", "--quiet", "--no-project", "--with", "pip", "python", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


INDEX = (pip_index() or _default_index()).rstrip("/")
