#!/bin/sh
# Usage: docker-entrypoint.sh [COMMAND | FILE.conf | OPTION...]
#
# Becomes the server as its own user, or whatever else it is asked for. Keeps the contract of the official
# valkey image.
set -eu

is_for_the_server() {
    case ${1:-} in
        -* | *.conf) return 0 ;;
    esac
    return 1
}

# Root hands over the data and steps down; another user must be able to write there already.
prepare_data() {
    if [ "$(id -u)" = 0 ]; then
        find . ! -user valkey -exec chown valkey '{}' +
        exec setpriv --reuid=valkey --regid=valkey --clear-groups -- "$0" "$@"
    fi
    if [ ! -w . ]; then
        echo "error: $PWD cannot be written by user $(id -u): give it the volume, or start as root" >&2
        exit 1
    fi
}

if is_for_the_server "$@"; then
    set -- valkey-server "$@"
fi
if [ "${1:-}" = valkey-server ]; then
    prepare_data "$@"
fi
if [ "$(umask)" = 0022 ]; then
    umask 0077
fi
# Several words by contract.
# shellcheck disable=SC2086
exec "$@" ${VALKEY_EXTRA_FLAGS:-}
