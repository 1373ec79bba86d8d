"""Builds the argv of every ``docker compose`` call. Pure: runs nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.config import place
from slipway.config.settings import MACHINE_FILE, Settings

__all__ = ["ENTRYPOINT", "Stack"]

ENTRYPOINT = ("python", "/opt/slipway/entrypoint.py")
"""The entrypoint of every command in a project container; it fills in ``{{secret:NAME}}``."""


class Stack:
    """The development or the production stack of one checkout.

    Every command method returns an argv list for the runner. Paths are relative to ``cwd`` (default: the
    current folder), so that the printed command can be pasted where the task was called.
    """

    def __init__(
        self,
        settings: Settings,
        prod: bool,
        cwd: Path | None = None,
        release: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = settings
        self.prod = prod
        self.release = release
        self.project = settings.project(prod)
        self._cwd = cwd or Path.cwd()
        self._variables = {**({"RELEASE": release} if release else {}), **(variables or {})}

    def for_release(self, release: str) -> Stack:
        """Return the same stack with another release id than the recorded one, for a deploy's commands."""
        return Stack(self.settings, self.prod, self._cwd, release)

    def with_variables(self, variables: Mapping[str, str]) -> Stack:
        """Return the same stack with other values of kit variables than the recorded ones."""
        return Stack(self.settings, self.prod, self._cwd, self.release, variables)

    @property
    def secrets_file(self) -> str:
        """The compose file that mounts the secrets folder, which ``init.record`` writes."""
        return f".slipway/secrets-{'prod' if self.prod else 'dev'}.yaml"

    @property
    def project_file(self) -> str:
        """The compose file for SETTINGS_OVERLAY and DATA_PATHS, which ``init.record`` writes."""
        return f".slipway/project-{'prod' if self.prod else 'dev'}.yaml"

    @property
    def keeps_data(self) -> bool:
        """Whether the project's services have the volume ``data``; development uses the user's folder."""
        return self.prod and bool(self.settings.data_paths)

    @property
    def processes_file(self) -> str:
        """The compose file with the processes next to web, which ``init.record`` writes."""
        return f".slipway/processes-{'prod' if self.prod else 'dev'}.yaml"

    @property
    def addresses_file(self) -> str:
        """The compose file for several addresses of HTTP_ADDRESS, which ``init.record`` writes."""
        return ".slipway/addresses-prod.yaml"

    @property
    def hidden_file(self) -> str:
        """The compose file that hides the kit's own files in the project's folder, in development."""
        return ".slipway/hidden-dev.yaml"

    def files(self) -> list[str]:
        """Return the compose files of this stack, relative to the kit's folder, in merge order."""
        settings, mode = self.settings, "prod" if self.prod else "dev"
        database = settings.database == "postgres"
        chosen = ["compose/base.yaml", "compose/backup.yaml"]
        redis = settings.redis == "on"
        chosen += ["compose/db.yaml"] if database else []
        chosen += ["compose/redis.yaml"] if redis else []
        chosen += [f"compose/{mode}.yaml"]
        chosen += [f"compose/{mode}-db.yaml"] if database else []
        chosen += ["compose/extra-databases.yaml"] if database and settings.extra_databases else []
        chosen += ["compose/prod-redis.yaml"] if redis and self.prod else []
        chosen += ["compose/no-egress.yaml"] if self.prod and settings.web_egress == "off" else []
        chosen += ["compose/db-port.yaml"] if database and not self.prod and settings.db_port else []
        chosen += ["compose/backup-s3.yaml"] if settings.backup_s3_bucket else []
        chosen += ["compose/backup-schedule.yaml"] if self.scheduled else []
        chosen += self._tls_files() if self.prod else []
        chosen += [self.addresses_file] if self.prod and len(settings.http_addresses) > 1 else []
        chosen += [self.processes_file] if self.processes else []
        chosen += [self.cron_file] if self.prod and settings.scheduled_commands else []
        chosen += ["compose/beat.yaml"] if "beat" in self.processes and settings.celery_app else []
        chosen += [self.project_file] if self.keeps_data or settings.settings_overlay else []
        chosen += [self.hidden_file] if not self.prod and place.hides(settings) else []
        return [*chosen, self.secrets_file, *settings.overlays]

    def _tls_files(self) -> list[str]:
        settings = self.settings
        chosen = [] if settings.tls == "off" else ["compose/tls.yaml"]
        chosen += ["compose/tls-acme.yaml"] if settings.tls == "acme" else []
        chosen += ["compose/tls-acme-ca.yaml"] if settings.tls == "acme" and settings.acme_ca_file else []
        return chosen

    @property
    def scheduled(self) -> bool:
        """Whether the service ``backup`` keeps running and follows ``BACKUP_SCHEDULE``."""
        return self.prod and bool(self.settings.backup_schedule)

    def services(self) -> list[str]:
        """Return the names of this stack's own services, which a user may name on the command line."""
        acme = ["acme"] if self.prod and self.settings.tls == "acme" else []
        return [*self.serving(), *acme, *(["backup"] if self.scheduled else [])]

    def serving(self) -> list[str]:
        """Return the services that the site needs, which `up` waits for."""
        database = ["db"] if self.settings.database == "postgres" else []
        database += ["databases"] if database and self.settings.extra_databases else []
        redis = ["redis"] if self.settings.redis == "on" else []
        front = ["nginx-configuration", "nginx"] if self.prod else []
        return [*database, *redis, *self.project_services(), *front]

    def project_services(self) -> list[str]:
        """Return the services that run the project's image, with its code, variables and secrets."""
        return [*self.one_shots(), "web", *self.processes]

    def one_shots(self) -> list[str]:
        """Return the project's services that end before ``web`` starts."""
        return ["migrate", *(["static"] if self.prod else [])]

    @property
    def processes(self) -> list[str]:
        """The processes next to ``web``: Celery's, and the lines of ``.env``."""
        return list(self.commands)

    @property
    def commands(self) -> Mapping[str, Sequence[str]]:
        """The commands of those processes, by service."""
        return {**self.settings.processes, **(self.settings.scheduled_commands if self.prod else {})}

    @property
    def cron_file(self) -> str:
        """The compose file with the volume of scheduled commands, which ``init.record`` writes."""
        return ".slipway/cron-prod.yaml"

    def command(self, *arguments: str, progress: str | None = None) -> list[str]:
        """Return ``docker compose``, this stack's flags and ``arguments``; ``progress`` as in ``build``."""
        argv = ["env", *(f"{name}={value}" for name, value in self._variables.items())]
        argv = argv if self._variables else []
        argv += ["docker", "compose", *([f"--progress={progress}"] if progress else [])]
        argv += ["--project-name", self.project]
        argv += ["--project-directory", self._relative(".")]
        argv += ["--env-file", self._relative(str(MACHINE_FILE))]
        argv += ["--env-file", self._relative(self.settings.env_file)]
        for file in self.files():
            argv += ["-f", self._relative(file)]
        return [*argv, *arguments]

    def build(
        self, services: Sequence[str] = (), *, no_cache: bool = False, progress: str | None = None
    ) -> list[str]:
        """Build the stack's images; ``progress`` is one of Docker's (``auto``, ``plain``, ``quiet``)."""
        flags = ["--no-cache"] if no_cache else []
        return self.command("build", *flags, *services, progress=progress)

    def up(self, services: Sequence[str] = (), *, scale: int | None = None) -> list[str]:
        """Create and start, detached, from images that are already built.

        ``scale`` is the number of web replicas and overrides ``WEB_REPLICAS``.
        """
        flags = ["--detach", "--no-build", "--remove-orphans"]
        flags += ["--scale", f"web={scale}"] if scale is not None else []
        return self.command("up", *flags, *services)

    def up_only(self, *services: str) -> list[str]:
        """Create and start ``services`` and their dependencies; one-shots among them run again."""
        return self.command("up", "--detach", "--no-build", *services)

    def down(self, *, volumes: bool = False) -> list[str]:
        """Remove containers and networks; with ``volumes`` also the data."""
        return self.command("down", "--remove-orphans", *(["--volumes"] if volumes else []))

    @property
    def web_repository(self) -> str:
        """The name, without tag, of the project's image; production's is tagged with the release."""
        return f"{self.project}-web"

    @property
    def repositories(self) -> tuple[str, ...]:
        """The names of the images in each production release."""
        return (self.web_repository, f"{self.project}-nginx-configuration")

    @property
    def acme_image(self) -> str:
        """The name, without tag, of the ACME client's image; it is the same for every release."""
        return f"{self.project}-acme"

    @property
    def backup_image(self) -> str:
        """The image that makes backups; it belongs to no release."""
        return f"{self.project}-backup"

    def images(self) -> list[str]:
        """Return the names of the images this stack runs and builds."""
        if not self.prod:
            return [self.web_repository]
        release = self.release or self.settings.release
        return [f"{repository}:{release}" for repository in self.repositories]

    def lifecycle(self, verb: str, services: Sequence[str] = ()) -> list[str]:
        """``start``, ``stop`` or ``restart``."""
        return self.command(verb, *services)

    def ps(self, *, everything: bool = False, as_json: bool = False) -> list[str]:
        """List containers; ``everything`` includes stopped ones."""
        flags = ["--all"] if everything else []
        flags += ["--format", "json"] if as_json else []
        return self.command("ps", *flags)

    def logs(
        self,
        services: Sequence[str] = (),
        *,
        follow: bool = False,
        tail: str = "",
        since: str = "",
        timestamps: bool = False,
    ) -> list[str]:
        """Show container logs; ``tail`` is a number of lines, ``since`` a time or a duration (``10m``)."""
        flags = ["--follow"] if follow else []
        flags += ["--tail", tail] if tail else []
        flags += ["--since", since] if since else []
        flags += ["--timestamps"] if timestamps else []
        return self.command("logs", *flags, *services)

    def execute(
        self,
        service: str,
        command: Sequence[str],
        *,
        running: bool,
        tty: bool,
        env: Sequence[str] = (),
        name: str = "",
    ) -> list[str]:
        """Run ``command`` in ``service``: in its container if it runs, else in a one-off called ``name``.

        ``env`` names variables that Compose takes from its own environment. Without ``tty`` Compose gets
        ``-T``, which it needs in a pipe and in CI.
        """
        flags = [] if tty else ["-T"]
        for variable in env:
            flags += ["--env", variable]
        inner = list(command)
        if running:
            prefix = list(ENTRYPOINT) if service in self.project_services() else []
            return self.command("exec", *flags, service, *prefix, *inner)
        # A one-off container runs the image's entrypoint anyway, and starts its dependencies.
        flags += ["--name", name] if name else []
        return self.command("run", "--rm", *flags, service, *inner)

    def one_off(self, service: str, command: Sequence[str], *, name: str = "") -> list[str]:
        """Run ``command`` in a new container of ``service``, without a terminal.

        It starts none of the service's dependencies. Without ``name`` Compose chooses one.
        """
        named = ["--name", name] if name else []
        return self.command("run", "--rm", "--no-deps", "-T", *named, service, *command)

    def maintenance(self, arguments: Sequence[str], *, running: bool) -> list[str]:
        """Run ``docker/nginx/maintenance`` with ``arguments``: in nginx if it runs, else in a one-off.

        The one-off has the same volume, starts no dependencies and publishes no configuration.
        """
        if running:
            return self.command("exec", "-T", "nginx", "/srv/nginx/live/bin/maintenance", *arguments)
        flags = ("--rm", "--no-deps", "-T", "--entrypoint", "/opt/nginx/bin/maintenance")
        return self.command("run", *flags, "nginx-configuration", *arguments)

    def publish_certificate(self, *, staple: bool) -> list[str]:
        """Run ``docker/nginx/publish-certificate``; it reads key and certificate from standard input."""
        flags = ("--rm", "--no-deps", "-T", "--entrypoint", "publish-certificate")
        return self.command("run", *flags, "nginx-configuration", *(["--staple"] if staple else []))

    def acme(self, verb: str) -> list[str]:
        """Run ``docker/acme/renewal.py`` with ``verb``, in its container."""
        program = ("/opt/acme/bin/python", "/opt/slipway/renewal.py")
        return self.command("exec", "-T", "acme", *program, verb)

    def config(self, *, as_json: bool = False) -> list[str]:
        """Print the merged configuration."""
        return self.command("config", *(["--format", "json"] if as_json else []))

    def stats(self, *, follow: bool = False, as_json: bool = False) -> list[str]:
        """Print CPU, memory and I/O per container."""
        flags = [] if follow else ["--no-stream"]
        flags += ["--format", "json"] if as_json else []
        return self.command("stats", *flags)

    def _relative(self, path: str) -> str:
        return os.path.relpath(self.settings.root / path, self._cwd)
