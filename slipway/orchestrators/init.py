"""Creates the files that a checkout needs before its first start; never overwrites env files or secrets."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from slipway.config import extraprocesses, place, postgres, secretfiles
from slipway.config.settings import (
    Settings,
    load,
    record_machine,
    recorded,
    settings_file,
    times_after,
    variables,
    write_if_changed,
)
from slipway.core import envfile
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.engine import engine, engineapi
from slipway.host import mirrors
from slipway.orchestrators import projectfile, publishing
from slipway.orchestrators.compose import Stack

__all__ = [
    "backup_user", "check", "create_env_file", "create_missing", "create_rest", "record", "record_build",
]  # fmt: skip

_OWNERS = ("backup",)  # of secrets in a subfolder
_SUBFOLDERS = (*_OWNERS, "tls")
_USUAL_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
_NOT_ROOT = 10001  # as the Dockerfile has it
_MOUNTED_SCRIPTS = ("docker/db", "docker/redis")
"""The kit's folders from which compose files mount ``configs``."""
_READ, _RUN = 0o444, 0o555


def create_env_file(root: Path) -> None:
    """Create the kit's own settings file where there is none, and print its name."""
    own = settings_file(root)
    if not own.exists():
        _copy(root / ".env.example", own)


def create_missing(root: Path) -> Settings:
    """Create the missing env files and secrets, print their names, and return the settings.

    Raises the ``SlipwayError`` of ``settings.load``.
    """
    create_env_file(root)
    settings = load(root)
    create_rest(settings)
    return settings


def create_rest(settings: Settings) -> None:
    """Create the missing files, except the kit's own settings file."""
    root = settings.root
    for name, example in (
        (settings.app_env, "app.env.example"),
        (settings.app_dev_env, "app.dev.env.example"),
        (settings.app_prod_env, "app.prod.env.example"),
        (settings.app_local_env, "app.local.env.example"),
    ):
        target = settings.path(name)
        if not target.exists():
            _copy(root / example, target)
    folder = settings.path(settings.secrets_dir)
    for path in secretfiles.create_missing(folder):
        note(f"created {path.relative_to(root) if path.is_relative_to(root) else path}")
    # The kit's own .gitignore names only the default folder.
    ignore = folder / ".gitignore"
    if folder != settings.path("secrets") and not ignore.exists():
        with suppress(OSError):  # Another user's folder: not in a repository of this user.
            ignore.write_text("*\n", encoding="utf-8")


def check(settings: Settings, prod: bool) -> None:
    """Check the files that the containers of a stack will read.

    Raises ``SlipwayError`` SLIP-001 to SLIP-004 for the project's env files, SLIP-002, SLIP-009 and SLIP-010
    for secrets, SLIP-007 for their folder, SLIP-175 for a file in the place of a subfolder, SLIP-113 for the
    secrets of the store that backups are copied to, SLIP-190 for files that containers may not read.
    """
    for path, wanted in _mounted(settings):
        # Containers for development and for backups run as this user.
        others = path.name in secretfiles.GENERATED or (prod and path.parent.name != "backup")
        if others or wanted == _RUN:
            _require_mode(path, wanted)
    entries: dict[str, envfile.Entry] = {}
    for name in (settings.app_env, settings.app_prod_env if prod else settings.app_dev_env):
        entries |= envfile.read(settings.path(name))
    _check_subfolders(settings)
    secretfiles.check(settings.path(settings.secrets_dir), entries, _OWNERS)
    if settings.backup_s3_bucket:
        _check_store(settings)


def _check_subfolders(settings: Settings) -> None:
    folder = settings.path(settings.secrets_dir)
    if not folder.is_dir():
        raise SlipwayError(
            "SLIP-007",
            f"SECRETS_DIR ({settings.origins['SECRETS_DIR']}) names a folder that does not exist: {folder}",
            "it is relative to the kit's folder; invoke init creates it, with the standard secrets",
        )
    files = (settings.tls_certificate, settings.tls_key, settings.acme_ca_file, settings.backup_s3_ca_file)
    used = {parent for name in files if name for parent in settings.path(name).parents}
    for path in sorted(folder.glob("[!.]*")):
        if path.name in _SUBFOLDERS and path.is_file():
            raise SlipwayError(
                "SLIP-175",
                f"the secret {path} is a file, but the kit looks for secrets in a folder of that name",
                f"rename it, or move it into such a folder, for example {folder / 'backup' / 'passphrase'}",
            )
        # A compose file of the user's own may give it to another service.
        known = path.name in _SUBFOLDERS or path.resolve() in used or settings.overlays
        if not known and secretfiles.files(path):
            note(
                f"warning: SLIP-175: the secrets in {str(path)!r} reach no container: the kit has no service "
                f"of that name; fix: move them to {folder}"
            )


def _check_store(settings: Settings) -> None:
    for name in ("s3_access_key", "s3_secret_key"):
        path = settings.path(settings.secrets_dir) / "backup" / name
        # `secretfiles.check` has already refused an empty one.
        if not path.is_file():
            raise SlipwayError(
                "SLIP-113",
                f"BACKUP_S3_BUCKET ({settings.origins['BACKUP_S3_BUCKET']}) names a store, and {path} is "
                "missing",
                "write the store's key into it, or remove BACKUP_S3_BUCKET",
            )


def record(settings: Settings) -> None:
    """Write what Compose must know about this host and checkout: ids, place, secrets, build secrets.

    Raises ``SlipwayError`` SLIP-113 when the store's CA file cannot be read.
    """
    mirrors.write_build_secrets(settings.root / ".slipway" / "build")
    _open_to_containers(settings)
    for stack in (Stack(settings, prod=False), Stack(settings, prod=True)):
        folder = settings.path(settings.secrets_dir)
        text = secretfiles.overlay(
            folder, "${SECRETS_DIR:-secrets}", stack.project_services(), owners=_OWNERS
        )
        write_if_changed(settings.root / stack.secrets_file, text)
        write_if_changed(settings.root / stack.project_file, projectfile.text(stack))
        if stack.processes:
            _record_processes(stack)
        if stack.addresses_file in stack.files():
            write_if_changed(settings.root / stack.addresses_file, publishing.overlay(stack))
    if settings.backup_s3_bucket:
        _record_store_ca(settings)
    _record_place(settings)
    digest = hashlib.sha256()
    for name in (settings.app_env, settings.app_prod_env):
        path = settings.path(name)
        digest.update(path.read_bytes() if path.is_file() else b"")
    # The image's entrypoint expects its own mount point. If the name has no version, dbmajor.check asks.
    major = postgres.major_in(settings.postgres_image)
    # Compose must also build on the image of PYTHON_VERSION; its own default is the kit's version.
    follows = not settings.is_set_by_hand("PYTHON_IMAGE")
    differs = settings.python_image != variables()["PYTHON_IMAGE"].default
    # Compose has the times of the default itself; a time that a person has set overrides machine.env.
    times = times_after(settings.web_timeout)
    # A name that the kit has chosen stays, even if this folder or its neighbours change.
    chosen = {} if settings.is_set_by_hand("PROJECT_NAME") else {"PROJECT_NAME": settings.name}
    is_new = {} if "KIT_ROOT" in recorded(settings.root) else {"NAME_IS_NEW": "yes"}
    record_machine(
        settings.root,
        {
            **chosen,
            **is_new,
            **({"PYTHON_IMAGE": settings.python_image if differs else ""} if follows else {}),
            **{name: time if time != variables()[name].default else "" for name, time in times.items()},
            **({"DB_VOLUME_TARGET": postgres.mount_target(major)} if major else {}),
            "APP_ENV_DIGEST": digest.hexdigest()[:16],
            "KIT_ROOT": str(settings.root),
            "HOST_UID": str(_in_containers()[0]),
            "HOST_GID": str(_in_containers()[1]),
            "BACKUP_USER": "{}:{}".format(*backup_user()),
        },
    )


def _record_processes(stack: Stack) -> None:
    settings = stack.settings
    template = settings.root / "compose" / f"process-{'prod' if stack.prod else 'dev'}.yaml"
    waited_for = {"migrate": "service_completed_successfully"}
    waited_for |= {"db": "service_healthy"} if settings.database == "postgres" else {}
    waited_for |= {"redis": "service_healthy"} if settings.redis == "on" else {}
    text = extraprocesses.overlay(template, stack.commands, waited_for)
    write_if_changed(settings.root / stack.processes_file, text)
    if stack.prod and settings.scheduled_commands:
        volumes = extraprocesses.cron_volumes(settings.scheduled_commands)
        write_if_changed(settings.root / stack.cron_file, volumes)


def _record_place(settings: Settings) -> None:
    """Write the files that keep the kit's own files out of the project's image and mounts."""
    root = settings.root
    # Every build rewrites it; not every task should wait for a scan of the project.
    if not (root / place.DOCKERFILE).exists():
        record_build(settings)
    stack = Stack(settings, prod=False)
    if place.hides(settings):
        write_if_changed(root / stack.hidden_file, place.hidden(settings, stack.project_services()))


def record_build(settings: Settings) -> None:
    """Write the Dockerfile that images are built from, and its list of files that no build reads."""
    dockerfile = settings.root / place.DOCKERFILE
    ignored = (settings.root / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    write_if_changed(dockerfile.with_name("Dockerfile.dockerignore"), place.dockerignore(ignored, settings))
    write_if_changed(dockerfile, (settings.root / "Dockerfile").read_text(encoding="utf-8"))


def _mounted(settings: Settings) -> Iterator[tuple[Path, int]]:
    """Yield each file that containers mount directly, and the permissions that all users need on it."""
    for folder in _MOUNTED_SCRIPTS:
        yield from ((path, _RUN) for path in sorted((settings.root / folder).glob("*.sh")))
    secrets = settings.path(settings.secrets_dir)
    for owned in (secrets, secrets / "backup"):
        yield from ((path, _READ) for path in secretfiles.files(owned))


def _open_to_containers(settings: Settings) -> None:
    """Give the files that containers mount the modes they need: a mount keeps the host's modes.

    Under a strict umask (077) only this user can read them; containers run as other users. A secret is opened
    only where its folder keeps other users out, as ``secretfiles.create_missing`` creates it.
    """
    secrets = settings.path(settings.secrets_dir)
    for path, wanted in _mounted(settings):
        mode = path.stat().st_mode
        private = wanted != _READ or not secrets.stat().st_mode & 0o077
        if mode & wanted != wanted and private:
            with suppress(OSError):  # Another user's file: `check` reports it.
                path.chmod(stat.S_IMODE(mode) | wanted)


def _require_mode(path: Path, wanted: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & wanted != wanted:
        folder = f"chmod 700 {path.parent} && " if wanted == _READ else ""
        raise SlipwayError(
            "SLIP-190",
            f"{path} has mode {mode:o}: containers mount it, but their users may not read it",
            f"as its owner: {folder}chmod {wanted:o} {path}",
        )


def _record_store_ca(settings: Settings) -> None:
    """Write the certificates to trust for the store: those configured, else this host's own, else none."""
    named = settings.backup_s3_ca_file
    bundle = settings.path(named) if named else mirrors.ca_bundle()
    try:
        text = bundle.read_text(encoding="utf-8", errors="replace") if bundle else ""
    except OSError as problem:
        raise SlipwayError(
            "SLIP-113",
            f"BACKUP_S3_CA_FILE ({settings.origins['BACKUP_S3_CA_FILE']}) cannot be read: "
            f"{problem.strerror}: {bundle}",
            "name a PEM file; its path is relative to the kit's folder",
        ) from None
    path = settings.root / ".slipway" / "backup-s3-ca.pem"
    write_if_changed(path, text)
    # The container runs as another user.
    path.chmod(0o644)


def backup_user() -> tuple[int, int]:
    """Return uid and gid of the containers that write backups: this user's, or 10001 instead of root."""
    ids = os.getuid(), os.getgid()
    return _in_containers() if ids[0] else (_NOT_ROOT, _NOT_ROOT)


def _in_containers() -> tuple[int, int]:
    """Return uid and gid of this user in a container: root's on an engine that runs as this user.

    Such an engine is never at the usual socket, so one there is not asked.
    """
    socket = engineapi.local_socket()
    if os.getuid() and socket and socket not in _USUAL_SOCKETS:
        with suppress(SlipwayError):
            if engine.rootless():
                return 0, 0
    return os.getuid(), os.getgid()


def _copy(example: Path, target: Path) -> None:
    try:
        shutil.copyfile(example, target)
    except OSError as problem:
        raise SlipwayError(
            "SLIP-011",
            f"{target.name} cannot be created from {example.name}: {problem.strerror}",
            "restore the example file from the repository, or write the file by hand",
        ) from None
    # Unlike the public example, it may get credentials later.
    target.chmod(0o600)
    note(f"created {target.name} (from {example.name})")
