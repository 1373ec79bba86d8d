#!/bin/sh
# Usage: install.sh SERIES, where SERIES is 17 or the like. Runs while the image is built.
set -eu

series=$1
sample=/usr/share/postgresql/postgresql.conf.sample

apt_get() {
    if [ -s /run/secrets/ca ]; then
        apt-get -o Acquire::https::CAInfo=/run/secrets/ca "$@"
    else
        apt-get "$@"
    fi
}

install_tools() {
    apt_get install --yes --no-install-recommends \
        gnupg gosu less libnss-wrapper locales xz-utils zstd
    gosu --version
    gosu nobody true
}

# Before the server: initdb takes its default locale from the environment.
generate_locale() {
    localedef --inputfile=en_US --force --charmap=UTF-8 en_US.UTF-8
}

install_server() {
    apt_get install --yes --no-install-recommends postgresql-common
    # Debian makes a cluster at installation; here the entrypoint makes it at the first start.
    sed -ri 's/^#?(create_main_cluster) .*$/\1 = false/' /etc/postgresql-common/createcluster.conf
    apt_get install --yes --no-install-recommends "postgresql-$series"
    if apt-cache show "postgresql-$series-jit" > /dev/null 2>&1; then
        apt_get install --yes --no-install-recommends "postgresql-$series-jit"
    fi
}

# A new cluster must be reachable from other containers. Diverted, so that an upgrade of the
# package does not bring Debian's sample back.
listen_everywhere() {
    dpkg-divert --add --rename --divert "$sample.dpkg" "/usr/share/postgresql/$series/postgresql.conf.sample"
    cp "$sample.dpkg" "$sample"
    ln -s ../postgresql.conf.sample "/usr/share/postgresql/$series/"
    sed -ri "s/^#?(listen_addresses)\s*=\s*\S+.*/\1 = '*'/" "$sample"
    grep -F "listen_addresses = '*'" "$sample"
}

make_directories() {
    install --directory --owner postgres --group postgres --mode 3777 /var/run/postgresql
    install --directory /docker-entrypoint-initdb.d
}

export DEBIAN_FRONTEND=noninteractive
apt_get update
install_tools
generate_locale
export LANG=en_US.utf8
install_server
listen_everywhere
make_directories
rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/ldconfig/aux-cache
"/usr/lib/postgresql/$series/bin/postgres" --version
