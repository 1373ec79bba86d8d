#!/bin/sh
# Runs before the PostgreSQL image's own entrypoint and makes an interrupted first start repairable.
#
# The image treats a data directory with a PG_VERSION file as complete, but until the end of its init
# scripts it has no database and no rule that lets anyone in, and no later start adds them. A marker next
# to the data directory exists from before initdb until the last init script has run. A cluster that
# still has the marker never listened on the network, so nothing in it can be worth keeping.
set -eu

marker="$(dirname "$PGDATA")/.first-start"

discard_half_made_cluster() {
    echo "first-start: an earlier first start was interrupted; creating the cluster again" >&2
    rm -rf "$PGDATA"
}

if [ -e "$marker" ]; then
    discard_half_made_cluster
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : >"$marker"
fi
exec docker-entrypoint.sh "$@"
