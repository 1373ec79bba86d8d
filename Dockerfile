# One file for every project: targets dev, web, nginx-configuration and acme.
#
# The project is the main build context. The kit's own files come from two named contexts, so a
# project in another folder needs nothing of the kit inside it:
#   docker build --file Dockerfile --build-context docker=docker --build-context front=nginx \
#     --target web example
#
# No frontend line on top: it would fetch an image from a registry on every build.
#
# Stages pass files to each other in /out: to detect changes, BuildKit reads the whole folder that contains them, and
# in / that is every file of the image.

ARG PYTHON_IMAGE=python:3.13-slim-trixie
ARG NGINX_IMAGE=nginx:1.30-trixie
# Node.js is needed only to build assets. BuildKit reads every FROM of the file, so without a command that one names
# an image that is present anyway.
ARG ASSETS_COMMAND=""
ARG NODE_IMAGE=""
# The settings module of manage.py and the server; empty: manage.py's own default.
ARG DJANGO_SETTINGS_MODULE=""
# Even a no-op RUN starts a container, so unused stages are skipped.
ARG RUNTIME_PACKAGES=""
ARG BUILD_PACKAGES=""


# --- The kit's own files, as one stage: each mount of a named context would be another transfer of it. All users may
# read and run them, whatever modes the checkout has (umask 077). Not 0644: the mode applies to folders too.
FROM scratch AS kit
COPY --from=docker --chmod=0755 . /


# --- Base: shared by development and production
FROM ${PYTHON_IMAGE} AS bare

# The official image ships a standard library without bytecode. On a read-only root nothing can
# write it later, so every start would compile again.
# /srv/static, /srv/data, /srv/temporary and /srv/cron belong to the user of the image so that a fresh named volume
# mounted there does too. So does /srv/beat, into which development writes as another user.
# No network, here and below: to set one up takes longer than most of these steps.
RUN --network=none --mount=type=bind,from=kit,source=compile-stdlib,target=/kit/compile-stdlib \
    /kit/compile-stdlib \
    && groupadd --gid 10001 app \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /bin/bash app \
    && install --directory --owner=10001 --group=10001 /srv/static /srv/data /srv/temporary /srv/cron \
    && install --directory --owner=10001 --group=10001 --mode=1777 /srv/beat

FROM bare AS bare-with-packages
ARG RUNTIME_PACKAGES
RUN --mount=type=bind,from=kit,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages ${RUNTIME_PACKAGES}

FROM bare${RUNTIME_PACKAGES:+-with-packages} AS base

# HOME is /tmp because development runs as a uid without a passwd entry, and production on a
# read-only root where /tmp alone is writable.
ENV PATH=/opt/venv/bin:$PATH \
    VIRTUAL_ENV=/opt/venv \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1


# --- Production's root: the base without programs that only install, compile or administer. Deleting files does not
# shrink existing layers, so the rest is copied into an empty image, again when the base or RUNTIME_PACKAGES change.
FROM base AS trimmed
ARG RUNTIME_PACKAGES
RUN --network=none --mount=type=bind,from=kit,source=trim_root.py,target=/kit/trim_root.py \
    --mount=type=bind,from=kit,source=base_environment.py,target=/kit/base_environment.py \
    python3 /kit/base_environment.py /opt/slipway/base-environment \
    && python3 /kit/trim_root.py ${RUNTIME_PACKAGES}

FROM scratch AS production-root
# Copying everything is intended: production has this instead of a base image.
# hadolint ignore=DL3067
COPY --from=trimmed / /
# As in the stage base. The base image's other variables are in /opt/slipway/base-environment, for the entrypoint.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    VIRTUAL_ENV=/opt/venv \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1


# --- Settings: an empty variable would hide manage.py's default, so it is set or absent
FROM base AS base-named-settings
ARG DJANGO_SETTINGS_MODULE
ENV DJANGO_SETTINGS_MODULE=${DJANGO_SETTINGS_MODULE}

FROM base${DJANGO_SETTINGS_MODULE:+-named-settings} AS runtime

FROM production-root AS production-root-named-settings
ARG DJANGO_SETTINGS_MODULE
ENV DJANGO_SETTINGS_MODULE=${DJANGO_SETTINGS_MODULE}

FROM production-root${DJANGO_SETTINGS_MODULE:+-named-settings} AS production-runtime


# --- Tools: uv and the lock readers, in an environment of their own that no target keeps. From PYTHON_IMAGE itself, so
# that they are fetched while the stages above are built.
FROM ${PYTHON_IMAGE} AS tools
RUN --mount=type=bind,from=kit,source=install-tools,target=/kit/install-tools \
    --mount=type=bind,from=kit,source=package-index.sh,target=/kit/package-index.sh \
    --mount=type=bind,from=kit,source=requirements/tools.txt,target=/kit/requirements/tools.txt \
    --mount=type=secret,id=pip --mount=type=secret,id=ca \
    --mount=type=cache,target=/root/.cache/pip \
    /kit/install-tools

# The scripts of the stages below, with their bytecode. The kit's other files are left out, so that a change of one
# does not install the packages again.
FROM bare AS build-kit
RUN --network=none --mount=type=bind,from=kit,target=/from \
    mkdir -p /out/kit \
    && cp -rp /from/*.py /from/additions /from/copy-code /from/install-* /from/package-index.sh /from/requirements /from/settings_overlay /out/kit/ \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -l /out/kit

# Of the tools only dotenv, not uv's large binary: BuildKit reads all of a mount to detect changes.
FROM build-kit AS collect-kit
RUN --network=none --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    cp -rp /opt/tools/lib/python3*/site-packages/dotenv /out/kit/ \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /out/kit/dotenv


# --- Manifests: the few files that decide what is installed, and the kind of server that the target needs, read from
# its source. This stage runs on every change of the project; the ones below run again only when its /out changes.
FROM bare AS manifests
ARG DEPENDENCY_DIR=.
ARG REQUIREMENTS_FILES=""
ARG MANAGE_DIR=.
ARG PYTHONPATH_DIRS=""
ARG SERVER_TARGET=""
RUN --network=none \
    --mount=type=bind,from=build-kit,source=/out/kit,target=/kit \
    --mount=type=bind,target=/project \
    python3 /kit/dependency_files.py /project "${DEPENDENCY_DIR}" /out/manifests /out/features \
    && chmod -R u=rwX,go=rX /out/manifests


# --- Dependencies: the only stages with compilers, if BUILD_PACKAGES names them or a package has to be built
FROM base AS base-with-compilers
ARG BUILD_PACKAGES
RUN --mount=type=bind,from=kit,source=install-packages,target=/kit/install-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages ${BUILD_PACKAGES}

FROM base${BUILD_PACKAGES:+-with-compilers} AS build
ARG DEPENDENCY_DIR=.
ARG DEPENDENCY_MANAGER="" REQUIREMENTS_FILES="" DEPENDENCY_GROUPS="" DEPENDENCY_EXTRAS="" \
    EXTRA_PIP_PACKAGES="" DEPENDENCY_OVERRIDES="" PYTHONPATH_DIRS=""

FROM build AS dependencies
RUN --mount=type=bind,from=build-kit,source=/out/kit,target=/kit \
    --mount=type=bind,from=manifests,source=/out/manifests,target=/app,rw \
    --mount=type=bind,from=manifests,source=/out/features,target=/tmp/features \
    --mount=type=bind,from=base,source=/var/lib/dpkg/status,target=/tmp/base-packages \
    --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    --mount=type=secret,id=pip --mount=type=secret,id=ca --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/uv \
    --mount=type=cache,target=/var/cache/bytecode \
    --mount=type=cache,id=build-archives,target=/var/cache/apt,sharing=private \
    --mount=type=cache,id=build-lists,target=/var/lib/apt,sharing=private \
    /kit/install-dependencies production

FROM build AS dev-dependencies
RUN --mount=type=bind,from=build-kit,source=/out/kit,target=/kit \
    --mount=type=bind,from=manifests,source=/out/manifests,target=/app,rw \
    --mount=type=bind,from=manifests,source=/out/features,target=/tmp/features \
    --mount=type=bind,from=base,source=/var/lib/dpkg/status,target=/tmp/base-packages \
    --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    --mount=type=secret,id=pip --mount=type=secret,id=ca --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/uv \
    --mount=type=cache,target=/var/cache/bytecode \
    --mount=type=cache,id=build-archives,target=/var/cache/apt,sharing=private \
    --mount=type=cache,id=build-lists,target=/var/lib/apt,sharing=private \
    /kit/install-dependencies development


# --- Development: the code is bind-mounted, so none is copied and none can be stale
FROM runtime AS dev
RUN --mount=type=bind,from=kit,source=install-packages,target=/kit/install-packages \
    --mount=type=bind,from=dev-dependencies,source=/out/runtime-packages,target=/kit/runtime-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages --list /kit/runtime-packages
COPY --from=dev-dependencies /opt/venv /opt/venv
COPY --from=kit entrypoint.py probe.py migrate.py migrate_back.py migrate_lock.py migrate_warnings.py \
    missing_variables.py suggestions.py explain_failure.py /opt/slipway/
COPY --from=kit settings_overlay /opt/slipway/settings_overlay
ARG MANAGE_DIR=.
WORKDIR /app/${MANAGE_DIR}
# Any uid works; compose passes the host user's, who then owns the files created here.
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["/opt/venv/bin/python", "-IS", "/opt/slipway/entrypoint.py"]
CMD ["python", "manage.py", "runserver", "0.0.0.0:8000"]
ARG RELEASE=dev
ARG REVISION=unknown
ENV RELEASE=${RELEASE}
LABEL org.opencontainers.image.version=${RELEASE} \
      org.opencontainers.image.revision=${REVISION}


# --- The kit's own files in production, with their bytecode
FROM bare AS slipway
COPY --from=kit entrypoint.py probe.py end-if-silent cron.py scheduled.py migrate.py migrate_back.py migrate_lock.py \
    migrate_warnings.py gunicorn.conf.py first_worker.py server_kind.py visible_errors.py worker_threads.py \
    publish_static.py project_static.py report_settings.py served_paths.py missing_variables.py suggestions.py explain_failure.py /opt/slipway/
COPY --from=kit settings_overlay /opt/slipway/settings_overlay
RUN --network=none python3 -m compileall -q /opt/slipway


# --- Production's dependencies: the libraries that its packages link to, and these packages. The list is a file, and
# this layer is rebuilt when its content changes; an empty one installs nothing.
FROM base AS with-additions
RUN --mount=type=bind,from=kit,source=install-packages,target=/kit/install-packages \
    --mount=type=bind,from=dependencies,source=/out/runtime-packages,target=/kit/runtime-packages \
    --mount=type=secret,id=apt \
    --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt,sharing=locked \
    /kit/install-packages --list /kit/runtime-packages

# Without the cache mounts, which must not be trimmed.
FROM with-additions AS additions
ARG RUNTIME_PACKAGES
RUN --network=none --mount=type=bind,from=build-kit,source=/out/kit,target=/kit \
    --mount=type=bind,from=dependencies,source=/out/runtime-packages,target=/mnt/list \
    --mount=type=bind,from=base,source=/var/lib/dpkg/status,target=/mnt/base-packages \
    --mount=type=bind,from=production-root,target=/mnt/production \
    /kit/additions /mnt/list /mnt/base-packages /mnt/production /out/additions ${RUNTIME_PACKAGES}

FROM production-runtime AS libraries
COPY --from=additions /out/additions/ /

FROM libraries AS production
COPY --from=slipway /opt/slipway /opt/slipway
ARG MANAGE_DIR=.
WORKDIR /app/${MANAGE_DIR}
COPY --from=dependencies /opt/venv /opt/venv


# --- Assets: built by npm and the like before static files are collected. Only with ASSETS_COMMAND.
FROM ${NODE_IMAGE:-${PYTHON_IMAGE}} AS assets
COPY . /app
ARG ASSETS_DIR=.
WORKDIR /app/${ASSETS_DIR}
ARG ASSETS_COMMAND
RUN --mount=type=bind,from=kit,source=build-assets,target=/kit/build-assets \
    --mount=type=secret,id=npm --mount=type=secret,id=ca \
    --mount=type=cache,target=/var/cache/assets \
    /kit/build-assets "${ASSETS_COMMAND}" /out/modules

FROM scratch AS modules-with-assets
COPY --from=assets /out/modules/ /
FROM scratch AS modules
FROM modules${ASSETS_COMMAND:+-with-assets} AS node-modules


# --- Code, with the modes that git would set: the image's user must read it, whatever modes it has on the host, and
# a checkout under another umask must give the same layer.
FROM scratch AS project
COPY . /app
FROM scratch AS project-with-assets
COPY --from=assets /app /app
FROM project${ASSETS_COMMAND:+-with-assets} AS source

FROM bare AS code
ARG DATA_PATHS
RUN --network=none --mount=type=bind,from=build-kit,source=/out/kit,target=/kit \
    --mount=type=bind,from=source,source=/app,target=/from \
    /kit/copy-code /from /out ${DATA_PATHS}


# --- Additions to the code: bytecode, and static files collected with the project's own environment and throw-away
# secrets. Like production, but with the packages as a mount: BuildKit reads the whole root of a step that mounts a
# secret, unless it has read it before; and a mount does not wait for the packages to be copied.
FROM libraries AS static
ARG MANAGE_DIR=.
ARG COLLECTSTATIC=build
# BuildKit leaves the content of secrets out of its cache key: a new value here (a digest of the files)
# collects the files again after a change of app.env.
ARG APP_ENV_DIGEST=""
ARG AFTER_COLLECTSTATIC=""
ARG STATIC_URL=/static/
ARG MEDIA_URL=/media/
ARG MEDIA_ROOT=/app/media
ARG ASSETS_DIR=.
ARG DATA_PATHS
ARG SERVER_TARGET
# Whether settings with DEBUG on are accepted: on or off.
ARG ALLOW_DEBUG=off
# The input of the settings overlay (SETTINGS_OVERLAY), as the tasks write it.
ARG SLIPWAY_OVERLAY=""
# No network: the result depends on the project alone, never on a service that happens to answer. The throw-away
# files in /run/secrets, a tmpfs, are gone after this instruction, and so is what the project writes into /app.
RUN --network=none \
    --mount=type=bind,from=collect-kit,source=/out/kit,target=/kit \
    --mount=type=bind,from=dependencies,source=/opt/venv,target=/opt/venv \
    --mount=type=bind,from=code,source=/out/app,target=/app,rw \
    --mount=type=bind,from=node-modules,target=/kit-modules \
    --mount=type=tmpfs,target=/run/secrets \
    --mount=type=tmpfs,target=/tmp \
    --mount=type=cache,target=/var/cache/precompressed \
    --mount=type=secret,id=app_env,target=/kit-env/app.env \
    --mount=type=secret,id=app_prod_env,target=/kit-env/app.prod.env \
    /opt/venv/bin/python -ES /kit/collect_static.py /out/collected /kit-env/app.env /kit-env/app.prod.env


# --- Production
FROM production AS web
COPY --from=code /out/app /app
COPY --from=static /out/collected/ /
ARG SERVER_TARGET
ARG COLLECTSTATIC=build
ENV SERVER_TARGET=${SERVER_TARGET} \
    COLLECTSTATIC=${COLLECTSTATIC}
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["/opt/venv/bin/python", "-IS", "/opt/slipway/entrypoint.py"]
# The target as an argument, because gunicorn before 20.1 reads it nowhere else.
CMD ["sh", "-c", "exec gunicorn --config /opt/slipway/gunicorn.conf.py \"$SERVER_TARGET\""]
# Last, so that a new release of unchanged code rebuilds nothing.
ARG RELEASE=dev
ARG REVISION=unknown
ENV RELEASE=${RELEASE}
# Only this target has the first label: `invoke deploy --image` recognises a release by it.
LABEL slipway.release=${RELEASE} \
      org.opencontainers.image.version=${RELEASE} \
      org.opencontainers.image.revision=${REVISION}


# --- nginx's configuration: a one-shot container tests it and publishes it into a volume. The base image itself
# serves, so that a change of configuration never replaces the container.
FROM ${NGINX_IMAGE} AS nginx-configuration
# A volume gets the owner of the folder it is first mounted on.
RUN install --directory --owner=101 --group=101 /srv/nginx /srv/state /srv/tls \
    && chown 101:101 /var/cache/nginx
COPY --from=kit nginx/publish-configuration nginx/publish-certificate /usr/local/bin/
COPY --from=kit nginx/listen.envsh nginx/mime-types.envsh nginx/networks.envsh nginx/served-paths.envsh \
    /opt/nginx/
COPY --from=kit nginx/maintenance nginx/front nginx/probe end-if-silent /opt/nginx/bin/
COPY --from=front --chmod=0755 . /opt/nginx/
# The project's own page replaces the kit's. A pattern, because COPY fails for a name that does not exist.
COPY --chmod=0755 maintenance.htm[l] /opt/nginx/html/_maintenance/
USER 101:101
ENTRYPOINT ["/usr/local/bin/publish-configuration"]
CMD []
ARG RELEASE=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.version=${RELEASE} \
      org.opencontainers.image.revision=${REVISION}


# --- The ACME client: certbot, as nginx's user, who alone may read the certificate's key
FROM ${PYTHON_IMAGE} AS acme
RUN --mount=type=bind,from=kit,target=/kit \
    --mount=type=secret,id=pip --mount=type=secret,id=ca \
    --mount=type=cache,target=/root/.cache/pip \
    . /kit/package-index.sh \
    && python3 -m venv /opt/acme \
    && /opt/acme/bin/pip install --disable-pip-version-check --require-hashes \
        --requirement /kit/requirements/certbot.txt
RUN install --directory --owner=101 --group=101 /srv/certbot /srv/challenge /srv/tls
COPY --from=kit acme/renewal.py /opt/slipway/
COPY --from=kit nginx/publish-certificate /usr/local/bin/
ENV HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 101:101
ENTRYPOINT ["/opt/acme/bin/python", "/opt/slipway/renewal.py"]
CMD ["serve"]
