# Sourced by a RUN: pass the build secrets `pip` (a pip.conf) and `ca` (a PEM bundle) to pip and to
# uv, which does not read pip.conf. Either secret may be empty or absent; nothing is written.
# shellcheck shell=sh

# usage: pip_setting NAME
pip_setting() {
    sed -n "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*//p" /run/secrets/pip | head -n 1
}

if [ -s /run/secrets/ca ]; then
    export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca \
        REQUESTS_CA_BUNDLE=/run/secrets/ca GIT_SSL_CAINFO=/run/secrets/ca
fi

if [ -s /run/secrets/pip ]; then
    export PIP_CONFIG_FILE=/run/secrets/pip
    if [ -n "$(pip_setting index-url)" ]; then
        UV_DEFAULT_INDEX=$(pip_setting index-url)
        export UV_DEFAULT_INDEX
    fi
    if [ -n "$(pip_setting extra-index-url)" ]; then
        UV_INDEX=$(pip_setting extra-index-url)
        # As pip does: of all indexes, the best version. By default uv takes a package that an
        # additional index has from there alone, in however old a version.
        export UV_INDEX UV_INDEX_STRATEGY=unsafe-best-match
    fi
    if [ -n "$(pip_setting trusted-host)" ]; then
        UV_INSECURE_HOST=$(pip_setting trusted-host)
        export UV_INSECURE_HOST
    fi
fi
