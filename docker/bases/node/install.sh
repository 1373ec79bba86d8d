#!/bin/sh
# Runs while the image is built.
set -eu

local_bin=/usr/local/bin

apt_get() {
    if [ -s /run/secrets/ca ]; then
        apt-get -o Acquire::https::CAInfo=/run/secrets/ca "$@"
    else
        apt-get "$@"
    fi
}

# Corepack fetches the yarn or pnpm that package.json names, as in the official image.
install_packages() {
    apt_get install --yes --no-install-recommends ca-certificates nodejs npm node-corepack
}

link_commands() {
    for command in node npm npx corepack; do
        [ -e "$local_bin/$command" ] || ln -s "/usr/bin/$command" "$local_bin/$command"
    done
    ln -s node "$local_bin/nodejs"
}

apt_get update
install_packages
link_commands
rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/*.log /var/cache/ldconfig/aux-cache
node --version
npm --version
corepack --version
