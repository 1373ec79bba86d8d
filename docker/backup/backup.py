"""The commands of the backup image; each prints its answer as JSON on stdout, and messages on stderr.

    make [LABEL]                        make an archive
    list                                list archives and dumps
    unpack NAME PURPOSE [PROJECT]       check an archive and leave its files for `restore` or `verify`
    applied                             list the applied migrations
    verify                              restore the unpacked files into a separate PostgreSQL, compare
    receive PART FILES BYTES            unpack media, or data, from stdin next to the present ones
    swap PART                           replace the present ones; a rerun continues where it stopped
    discard PART                        remove what is left of that
    expired                             list the archives that retention does not keep
    prune NAME...                       remove these, and leftovers of killed runs
    schedule                            make, prune and copy by BACKUP_SCHEDULE, until SIGTERM
    healthy                             exit code 1 and the reason if the schedule failed or is late
    remote                              list the archives in the store
    copy NAME...                        copy these to the store
    fetch NAME                          copy one back from there

Exit code 1 with one message for an error that a person can fix.
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
    """End as after an error: unfinished files are removed."""
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
