# A registry: Debian's, on the base image that the kit's builds have here anyway.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=docker,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    /kit/install-packages docker-registry
RUN printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: /srv}}\nhttp: {addr: ":5000"}\n' >/etc/registry.yml
VOLUME /srv
CMD ["docker-registry", "serve", "/etc/registry.yml"]
