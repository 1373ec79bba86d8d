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

install_packages() {
    apt_get install --yes --no-install-recommends ca-certificates curl gettext-base nginx
}

# Debian's own layout: a second default server on port 80 and modules that are not here.
remove_debian_layout() {
    rm -rf /etc/nginx/sites-enabled /etc/nginx/sites-available \
        /etc/nginx/modules-enabled /etc/nginx/modules-available \
        /etc/nginx/snippets /etc/nginx/nginx.conf /var/www
}

# Debian compiles its temporary paths below /var/lib/nginx. The link makes every configuration,
# also one that replaces nginx.conf, write where the official image writes, so that a read-only
# container with a tmpfs on /var/cache/nginx works on both.
move_temporary_paths() {
    rm -rf /var/lib/nginx
    mkdir -p /var/cache/nginx
    ln -s /var/cache/nginx /var/lib/nginx
}

log_to_the_container() {
    ln -sf /dev/stdout /var/log/nginx/access.log
    ln -sf /dev/stderr /var/log/nginx/error.log
    chown -R nginx:adm /var/log/nginx
}

apt_get update
install_packages
remove_debian_layout
move_temporary_paths
rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/*.log /var/cache/ldconfig/aux-cache
log_to_the_container
nginx -V
