#!/bin/sh
# With NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE set, writes the number of CPUs this container
# may use into nginx.conf: "auto" counts the machine's, whatever the container's limit.
set -e

config=/etc/nginx/nginx.conf
name=$(basename "$0")

[ -n "${NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE:-}" ] || exit 0

if [ ! -w "$config" ]; then
    echo "$name: ERROR: cannot write $config (read-only file system?)"
    exit 0
fi

# cgroup 2 says "QUOTA PERIOD" in microseconds, or "max PERIOD" for no limit.
cpus_of_quota() {
    if [ -r /sys/fs/cgroup/cpu.max ]; then
        awk '$1 != "max" { n = int($1 / $2); if (n * $2 < $1) n++; print n }' /sys/fs/cgroup/cpu.max
    elif [ -r /sys/fs/cgroup/cpu/cpu.cfs_quota_us ]; then
        awk -v period="$(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)" \
            '$1 > 0 { n = int($1 / period); if (n * period < $1) n++; print n }' \
            /sys/fs/cgroup/cpu/cpu.cfs_quota_us
    fi
}

# nproc respects the CPU set, the quota comes on top.
workers=$(printf '%s\n' "$(nproc)" "$(cpus_of_quota)" | awk 'NF' | sort -n | head -n 1)
sed -i "s/^worker_processes .*/worker_processes  $workers;/" "$config"
