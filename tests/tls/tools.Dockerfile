# Test tools from Debian's packages: an ACME server, and a scanner of protocols and ciphers.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=docker,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages pebble sslscan openssl
