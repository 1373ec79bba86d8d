#!/bin/sh
# Runs before the image's own entrypoint and bounds Redis's data by the memory of its container.
#
# Without a bound a full Redis is killed by the kernel, reads its file, is full again and is killed again. With
# one, keys with a time to live (caches, results) make room, and for what has none (queues) it answers with an
# error that the writer sees. A third: what is freed leaves gaps, and while the file is rewritten a copy of what
# changes meanwhile needs as much again.
set -eu

# cgroup v2, else v1; "max", or a number beyond any machine's memory, where there is no limit.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true)
limit=$(printf '%s\n' "$limit" | head -n 1)

case $limit in
    '' | *[!0-9]* | ????????????????*) ;;
    *) set -- "$@" --maxmemory "$((limit / 3))" --maxmemory-policy volatile-lru ;;
esac
exec docker-entrypoint.sh "$@"
