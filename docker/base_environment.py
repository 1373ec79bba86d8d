"""Record the environment variables that the base image sets: production is not built on it.

    base_environment.py FILE

Run by a RUN instruction of a stage that is. Writes NAME=VALUE and a zero byte for each to FILE. Left out are
variables that the Dockerfile sets again, those of the build itself (docs.docker.com/reference/dockerfile:
predefined ARGs), and a PATH that is the usual one. The entrypoint sets the recorded ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

# The image's PATH, with the folder of the virtual environment; docker/entrypoint.py and the Dockerfile have
# the same.
USUAL_PATH = "/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SET_AGAIN = {"HOME", "LANG", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "VIRTUAL_ENV"}
ARGUMENTS = {
    "RUNTIME_PACKAGES",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SOURCE_DATE_EPOCH",
}
SHELL = {"HOSTNAME", "OLDPWD", "PWD", "SHLVL", "_"}


def of_base(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``environment`` that only the base image sets."""
    return {
        name: value
        for name, value in environment.items()
        if name not in SET_AGAIN | SHELL
        and name.upper() not in ARGUMENTS
        and (name, value) != ("PATH", USUAL_PATH)
    }


def main(arguments: list[str]) -> int:
    """Run the usage above."""
    kept = of_base(os.environ)
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in kept.items()))
    print(f"variables of the base image: {' '.join(kept) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
