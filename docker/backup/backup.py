"""The commands of the backup image; each prints its answer as JSON on stdout, and tells the rest on stderr.

    make [LABEL]                        make an archive
    list                                what archives and dumps there are
    unpack NAME PURPOSE [PROJECT]       check an archive and leave its files for `restore` or `verify`
    applied                             the migrations that are applied at present
    verify                              restore what was unpacked into a PostgreSQL of its own, compare
    receive FILES BYTES                 unpack media from stdin beside the present ones
    swap                                put them in their place; goes on where it was stopped
    discard                             remove what is left of that
    expired                             the archives that retention does not keep
    prune NAME...                       remove these, and what killed runs have left

Exit code 1 with one message for what a person can put right.
"""

import json
import signal
import sys

import listing
import make
import prune
import restore_media
import unpack
import verify
from failure import BackupError
from places import say

COMMANDS = {
    "make": make.make,
    "list": listing.entries,
    "unpack": unpack.unpack,
    "applied": unpack.applied,
    "verify": verify.verify,
    "receive": restore_media.receive,
    "swap": restore_media.swap,
    "discard": restore_media.discard,
    "expired": prune.expired,
    "prune": prune.remove,
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
        print(json.dumps(COMMANDS[name](*further)), flush=True)
    except BackupError as failure:
        say(str(failure))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
