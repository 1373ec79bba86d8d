# Sourced by each RUN of a usual setup that downloads: packages come from where this machine gets its own, as those of
# the kit's builds do. The build secrets ca, pip and apt may be empty, as on a machine without mirrors.
# shellcheck shell=sh
# shellcheck source=docker/package-index.sh
. /mirrors/package-index.sh

if [ -s /run/secrets/apt ]; then
    sed -i -E \
        -e "s#https?://[^ ]+/debian-security/?( |\$)#$(sed -n 1p /run/secrets/apt)-security\1#" \
        -e "s#https?://[^ ]+/debian/?( |\$)#$(sed -n 1p /run/secrets/apt)\1#" \
        /etc/apt/sources.list.d/*.sources
fi
