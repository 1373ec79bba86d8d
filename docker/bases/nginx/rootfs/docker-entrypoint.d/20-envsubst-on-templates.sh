#!/bin/sh
# Renders /etc/nginx/templates/*.template into /etc/nginx/conf.d and *.stream-template into
# /etc/nginx/stream-conf.d. Only variables that are set are replaced, and of those only the ones
# whose name matches NGINX_ENVSUBST_FILTER (an awk regular expression; unset matches all).
set -e

templates=${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}
suffix=${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}
output=${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}
stream_suffix=${NGINX_ENVSUBST_STREAM_TEMPLATE_SUFFIX:-.stream-template}
stream_output=${NGINX_ENVSUBST_STREAM_OUTPUT_DIR:-/etc/nginx/stream-conf.d}
name=$(basename "$0")

log() {
    if [ -z "${NGINX_ENTRYPOINT_QUIET_LOGS:-}" ]; then
        echo "$name: $*"
    fi
}

# The list of ${NAME} envsubst may touch: without it every $uri and $host of nginx would vanish.
names_to_replace() {
    awk -v filter="${NGINX_ENVSUBST_FILTER:-}" 'BEGIN {
        for (name in ENVIRON)
            if (name ~ /^[A-Za-z_][A-Za-z0-9_]*$/ && name ~ filter) printf "${%s} ", name
    }'
}

# Usage: render SUFFIX OUTPUT_DIRECTORY. As in the official image an unwritable output is an
# error in the log and no reason to stop.
render() {
    find "$templates" -follow -type f -name "*$1" | sort | while read -r template; do
        relative=${template#"$templates"/}
        target=$2/${relative%"$1"}
        if [ ! -w "$2" ]; then
            log "ERROR: $templates exists, but $2 is not writable"
            return 0
        fi
        mkdir -p "$(dirname "$target")"
        log "rendering $template to $target"
        envsubst "$(names_to_replace)" < "$template" > "$target"
    done
}

# Usage: include_streams. nginx.conf has no stream block until somebody uses one.
include_streams() {
    if grep -qs "include *$stream_output/\*.conf;" /etc/nginx/nginx.conf; then
        return 0
    fi
    if [ ! -w /etc/nginx/nginx.conf ]; then
        log "ERROR: cannot add $stream_output to /etc/nginx/nginx.conf, it is not writable"
        return 0
    fi
    log "adding a stream block for $stream_output to /etc/nginx/nginx.conf"
    printf '\nstream {\n    include %s/*.conf;\n}\n' "$stream_output" >> /etc/nginx/nginx.conf
}

if [ -d "$templates" ]; then
    render "$suffix" "$output"
    if [ -n "$(find "$templates" -follow -type f -name "*$stream_suffix" -print -quit)" ]; then
        mkdir -p "$stream_output" || true
        include_streams
        render "$stream_suffix" "$stream_output"
    fi
fi
