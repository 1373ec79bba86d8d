# An engine in a container: Debian's, on the base image that the kit's builds have here anyway.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN --mount=type=bind,from=docker,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    /kit/install-packages docker.io iptables
