#!/bin/sh
# Usage: configure.sh ROOT, as a customize hook of mmdebstrap.
#
# Makes the root file system ROOT behave as the official Debian image does in a Dockerfile.
set -eu

root=$1
here=$(dirname "$0")
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Fixed modes: a checkout made under another umask must not decide who may read these.
install_settings() {
    install -m 0644 "$here"/apt.conf.d/* "$root/etc/apt/apt.conf.d/"
}

# The official image names its mirrors in one deb822 file, which Dockerfiles edit.
rewrite_sources() {
    awk -v keyring="$keyring" '$1 == "deb" {
        sub(/\[[^]]*\] */, "")
        printf "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n", $2, $3, keyring
    }' "$root/etc/apt/sources.list" > "$root/etc/apt/sources.list.d/debian.sources"
    chmod 0644 "$root/etc/apt/sources.list.d/debian.sources"
    rm "$root/etc/apt/sources.list"
}

# Nothing of the machine that built it, nothing that only grows the layer. The cache has to go
# here: under the settings above apt no longer knows where it is and "apt-get clean" leaves it.
remove_leftovers() {
    rm -f "$root"/var/cache/apt/*.bin
    rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id"
    rm -rf "$root"/var/log/* "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old
}

install_settings
rewrite_sources
remove_leftovers
