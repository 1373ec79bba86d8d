#!/bin/sh
# Runs before the PostgreSQL image's own entrypoint and makes an interrupted first start repairable.
#
# The image takes a data directory with a PG_VERSION file for finished, but between initdb and the end
# of its init scripts there is no database, no rule that lets anyone in, and no way back. A marker
# beside the data directory stands from before initdb until the last init script has run. Whoever finds
# it finds a cluster that never listened on the network, so nothing in it can be worth keeping.
set -eu

marker="$(dirname "$PGDATA")/.first-start"

discard_half_made_cluster() {
    echo "first-start: an earlier first start was interrupted; making the cluster anew" >&2
    rm -rf "$PGDATA"
}

if [ -e "$marker" ]; then
    discard_half_made_cluster
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : >"$marker"
fi
exec docker-entrypoint.sh "$@"
