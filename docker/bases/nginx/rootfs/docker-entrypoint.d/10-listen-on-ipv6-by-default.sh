#!/bin/sh
# Adds an IPv6 listener to the stock default.conf, if that file is still as it was shipped.
set -e

config=/etc/nginx/conf.d/default.conf
shipped=/usr/share/nginx/default.conf.md5
name=$(basename "$0")

skip() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then
        echo "$name: $1"
    fi
    exit 0
}

[ -f /proc/net/if_inet6 ] || skip "IPv6 is not available"
[ -f "$config" ] || skip "$config is not there"
[ -w "$config" ] || skip "cannot write $config (read-only file system?)"
[ -w "$(dirname "$config")" ] || skip "cannot replace files beside $config"
grep -q 'listen  *\[::\]' "$config" && skip "IPv6 is listened on already"
md5sum --status --check "$shipped" || skip "$config was changed, leaving it alone"

sed -i 's/^\( *\)listen       80;/\1listen       80;\n\1listen  [::]:80;/' "$config"
skip "listening on IPv6 in $config"
