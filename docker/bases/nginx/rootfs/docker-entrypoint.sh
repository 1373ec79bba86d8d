#!/bin/sh
# Usage: docker-entrypoint.sh COMMAND [ARGUMENT...]
#
# Before nginx starts, goes through /docker-entrypoint.d in name order: an executable *.envsh is
# sourced, an executable *.sh is run, everything else is left alone with a log line. A file that
# fails stops the start. NGINX_ENTRYPOINT_QUIET_LOGS silences the log.
set -e

log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then
        echo "$@"
    fi
}

run_drop_in() {
    case $1 in
        *.envsh)
            if [ -x "$1" ]; then
                log "$0: sourcing $1"
                # shellcheck source=/dev/null
                . "$1"
            else
                log "$0: ignoring $1, not executable"
            fi
            ;;
        *.sh)
            if [ -x "$1" ]; then
                log "$0: running $1"
                "$1"
            else
                log "$0: ignoring $1, not executable"
            fi
            ;;
        *) log "$0: ignoring $1" ;;
    esac
}

# A subshell, as in the official image: what a drop-in exports reaches the later drop-ins and
# never nginx, so a configuration that works here works there.
run_drop_ins() (
    for drop_in in /docker-entrypoint.d/*; do
        if [ -e "$drop_in" ]; then
            run_drop_in "$drop_in"
        fi
    done
)

if [ "${1:-}" = nginx ] || [ "${1:-}" = nginx-debug ]; then
    run_drop_ins
    log "$0: configuration complete, ready for start up"
fi

exec "$@"
