#!/usr/bin/env bash
# Usage: docker-ensure-initdb.sh [postgres] [OPTION...]
#
# Makes the cluster as the entrypoint would and ends without starting the server: an init
# container, or a step before pg_upgrade. Under the name docker-enforce-initdb.sh a cluster that
# exists already is an error.
set -Eeo pipefail

# shellcheck source=/dev/null
. /usr/local/bin/docker-entrypoint.sh

if [ "$#" -eq 0 ] || [ "$1" != postgres ]; then
    set -- postgres "$@"
fi

load_settings
make_directories
if [ "$(id -u)" = 0 ]; then
    exec gosu postgres "${BASH_SOURCE[0]}" "$@"
fi

if [ -z "$cluster_exists" ]; then
    make_cluster "$@"
elif [ "$(basename "$0")" = docker-enforce-initdb.sh ]; then
    die "$PGDATA holds a database cluster already"
fi
