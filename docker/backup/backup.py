"""The commands of the backup image; each prints its answer as JSON on stdout, and tells the rest on stderr.

    backup.py make [LABEL]          make an archive
    backup.py list                  what archives and dumps there are

Exit code 1 with one message for what a person can put right.
"""

import json
import signal
import sys

import listing
import make
from failure import BackupError
from places import say


def commands():
    """Return the commands by name; each takes the further arguments and returns its answer."""
    return {
        "make": lambda label="": make.make(label),
        "list": listing.entries,
    }


def stop(*_):
    """End as after an error: what was begun is removed."""
    raise SystemExit("interrupted")


def main(arguments):
    """Run one command; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    name, *further = arguments
    try:
        print(json.dumps(commands()[name](*further)), flush=True)
    except BackupError as failure:
        say(str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
