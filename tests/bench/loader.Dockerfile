# What makes the load: h2load, a C program of one thread, from Debian's packages.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=docker,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages nghttp2-client
CMD ["sleep", "infinity"]
