#!/bin/sh
# Runs before the image's own entrypoint and limits Redis's data by the memory of its container.
#
# Without a limit the kernel kills a full Redis, which reads its file, is full again and is killed again. With a
# limit, keys with a time to live (caches, results) make room, and for keys without one (queues) it answers with an
# error that the writer sees. A third: freed memory leaves gaps, and during a rewrite of the file, a copy of the
# data that changes meanwhile needs as much again.
set -eu

# cgroup v2, else v1; "max", or a number beyond any machine's memory, where there is no limit.
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || true)
limit=$(printf '%s\n' "$limit" | head -n 1)

case $limit in
    '' | *[!0-9]* | ????????????????*) ;;
    *) set -- "$@" --maxmemory "$((limit / 3))" --maxmemory-policy volatile-lru ;;
esac
exec docker-entrypoint.sh "$@"
