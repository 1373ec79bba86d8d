"""The commands of the backup image; each prints its answer as JSON on stdout, and tells the rest on stderr.

    make [LABEL]                        make an archive
    list                                what archives and dumps there are
    unpack NAME PURPOSE [PROJECT]       check an archive and leave its files for `restore` or `verify`
    applied                             the migrations that are applied at present
    verify                              restore what was unpacked into a PostgreSQL of its own, compare
    receive PART FILES BYTES            unpack media, or data, from stdin beside the present ones
    swap PART                           put them in their place; goes on where it was stopped
    discard PART                        remove what is left of that
    expired                             the archives that retention does not keep
    prune NAME...                       remove these, and what killed runs have left
    schedule                            make, prune and copy by BACKUP_SCHEDULE, until SIGTERM
    healthy                             exit code 1 where the schedule has failed or is late, and why
    remote                              what archives there are in the store
    copy NAME...                        copy these to the store
    fetch NAME                          bring one back from there

Exit code 1 with one message for what a person can put right.
"""

import json
import signal
import sys

import listing
import make
import prune
import restore_parts
import schedule
import store
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
    "receive": restore_parts.receive,
    "swap": restore_parts.swap,
    "discard": restore_parts.discard,
    "expired": prune.expired,
    "prune": prune.remove,
    "schedule": schedule.run,
    "healthy": schedule.healthy,
    "remote": store.entries,
    "copy": store.copy,
    "fetch": store.fetch,
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
