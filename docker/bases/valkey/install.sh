#!/bin/sh
# Runs while the image is built.
set -eu

apt_get() {
    if [ -s /run/secrets/ca ]; then
        apt-get -o Acquire::https::CAInfo=/run/secrets/ca "$@"
    else
        apt-get "$@"
    fi
}

# The official binaries are in /usr/local/bin, and have the older names too. The server has a wrapper there.
link_programs() {
    for program in benchmark check-aof check-rdb cli sentinel; do
        if [ -e "/usr/bin/valkey-$program" ]; then
            ln -s "/usr/bin/valkey-$program" "/usr/local/bin/valkey-$program"
            ln -s "valkey-$program" "/usr/local/bin/redis-$program"
        fi
    done
    ln -s valkey-server /usr/local/bin/redis-server
}

apt_get update
apt_get install --yes --no-install-recommends tzdata valkey-server valkey-tools
link_programs
# Debian's own: it listens on loopback alone and goes into the background.
rm -rf /etc/valkey /var/lib/valkey /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache
valkey-cli --version
