#!/bin/sh
# The last of the image's init scripts (it sorts after all others): the first start is complete.
set -eu

rm -f "$(dirname "$PGDATA")/.first-start"
