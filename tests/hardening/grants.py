"""What each service of production may do beyond nothing, and why: the one list of exceptions.

``docs/security.md`` shows it to people, and a test holds the two in step. A service that is added is held
to the same rules from its first start: what it needs has to be entered here, with the reason.
"""

from __future__ import annotations

import os

from inside import Container

_PROJECT = {
    "user 10001:10001": "the image's own",
    "tmpfs /tmp noexec 64m": "programs that expect one",
    "writes /srv/temporary": "uploads on their way, and whatever Python's tempfile is asked for",
}
_SECRETS = {
    "secret postgres_password": "the project's settings read it",
    "secret secret_key": "the project's settings read it",
    "secret api_token": "every file of secrets/ is the project's",
}
_NGINX = {"user 101:101": "the image's own", "tmpfs /tmp noexec 16m": "pid, and what `front` is changing"}

GRANTS: dict[str, dict[str, str]] = {
    "db": {
        "user 999:999": "the image's own",
        "network data": "its clients are there",
        "writes /var/lib/postgresql/data": "the data",
        "tmpfs /tmp noexec 64m": "programs that expect one",
        "tmpfs /var/run/postgresql noexec 1m": "the socket",
        "reads /usr/local/bin/first-start.sh": "the kit's, not the image's",
        "reads /docker-entrypoint-initdb.d/zz-finish-first-start.sh": "the kit's, not the image's",
        "secret postgres_password": "sets it on the first start",
    },
    "databases": {
        "user 999:999": "the image's own",
        "network data": "the database",
        "tmpfs /tmp noexec 1m": "programs that expect one",
        "tmpfs /var/lib/postgresql/data noexec 1m": "in place of the volume that its image declares",
        "reads /usr/local/bin/create-databases.sh": "the kit's, not the image's",
        "secret postgres_password": "creates EXTRA_DATABASES",
    },
    "redis": {
        "user 999:999": "the image's own",
        "network data": "its clients are there",
        "writes /data": "the file of every change",
        "tmpfs /tmp noexec 16m": "programs that expect one",
        "reads /usr/local/bin/start-redis.sh": "the kit's, not the image's",
    },
    "migrate": {
        **_PROJECT,
        **_SECRETS,
        "network data": "the database",
        "writes /app/media": "migrations of uploads",
        "reads /srv/static": "the manifest of hashed names, for COLLECTSTATIC=start",
    },
    "static": {
        **_PROJECT,
        **_SECRETS,
        "writes /app/media": "what web sees, for COLLECTSTATIC=start",
        "writes /srv/static": "publishes the image's collected files",
    },
    "web": {
        **_PROJECT,
        **_SECRETS,
        "network edge": "nginx, and the way out to mail servers and the like",
        "network data": "the database",
        "writes /app/media": "uploads",
        "reads /srv/static": "the manifest of hashed names, for COLLECTSTATIC=start",
    },
    # By a PROCESS_NAME line; Celery's have the same, and beat its volume.
    "worker": {
        **_PROJECT,
        **_SECRETS,
        "network edge": "the way out to mail servers and the like",
        "network data": "the database, Redis",
        "writes /app/media": "uploads",
        "reads /srv/static": "the manifest of hashed names, for COLLECTSTATIC=start",
    },
    "backup": {
        "user 10001:10001": "whoever runs the tasks; this one in place of root",
        "group 10001": "media that only their group may read",
        "network data": "the database",
        "reads /app/media": "goes into the archive",
        "reads /srv/nginx": "which release serves",
        "writes /backups": "the archives",
        "tmpfs /tmp noexec 64m": "gpg's and Python's temporary files",
        "tmpfs /var/lib/postgresql/data noexec 1m": "in place of the volume that its image declares",
        "secret postgres_password": "dumps the database",
        "secret backup_passphrase": "encrypts what it writes",
    },
    "nginx-configuration": {
        **_NGINX,
        "writes /srv/nginx": "publishes a release's configuration",
        "writes /srv/state": "gives the volume its owner; the maintenance switch while nginx is down",
        "writes /var/cache/nginx": "gives the volume its owner",
    },
    "nginx": {
        **_NGINX,
        "network edge": "web, and the published port",
        "publishes 8080/tcp": "the only door",
        "writes /srv/nginx": "`front` moves the link to the release that serves",
        "writes /srv/state": "the maintenance switch",
        "writes /var/cache/nginx": "request bodies on their way",
        "reads /srv/static": "serves it",
        "reads /srv/media": "serves it",
    },
}


def granted(container: Container) -> set[str]:
    """What the engine says a container was given, in the words of ``GRANTS``.

    What must never be given (privileges, devices, namespaces of the host, its Docker socket) has words of its
    own, which no entry of ``GRANTS`` has.
    """
    host = container["HostConfig"]
    user = container["Config"]["User"] or "root"
    # Only where root runs the tasks is it 10001: archives belong to the person.
    backup = container["Config"]["Labels"]["com.docker.compose.service"] == "backup"
    if backup and os.getuid() and user == f"{os.getuid()}:{os.getgid()}":
        user = "10001:10001"
    found = {f"user {user}"}
    found |= _networks(container)
    found |= {f"publishes {port}" for port, bindings in (host["PortBindings"] or {}).items() if bindings}
    found |= {_tmpfs(path, options) for path, options in (host["Tmpfs"] or {}).items()}
    for mount in container["Mounts"]:
        found.add(_mount(mount))
    found |= {f"capability {name}" for name in host["CapAdd"] or ()}
    found |= {f"device {device['PathOnHost']}" for device in host["Devices"] or ()}
    found |= {f"group {group}" for group in host["GroupAdd"] or ()}
    found |= {f"sysctl {name}" for name in host.get("Sysctls") or {}}
    for kind in ("NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupnsMode"):
        # The own namespaces of a container, under cgroup v1 the host's view of groups too.
        shared = host[kind].split(":")[0] in {"host", "container", "shareable"}
        if shared and not (kind == "CgroupnsMode" and host[kind] == "host"):
            found.add(f"{kind} {host[kind]}")
    if host["Privileged"]:
        found.add("privileged")
    return found


def _networks(container: Container) -> set[str]:
    project = container["Config"]["Labels"]["com.docker.compose.project"]
    names = container["NetworkSettings"]["Networks"]
    return {f"network {name.removeprefix(f'{project}_')}" for name in names if name != "none"}


def _tmpfs(path: str, options: str) -> str:
    size = dict(option.partition("=")[::2] for option in options.split(",")).get("size", "without a limit")
    # Docker's own default, unless the options say exec.
    executable = "exec" if "exec" in options.split(",") else "noexec"
    return f"tmpfs {path} {executable} {size}"


def _mount(mount: dict[str, str]) -> str:
    target = mount["Destination"]
    if "docker.sock" in mount["Source"] or "docker.sock" in target:
        return "the engine's socket"
    if target.startswith("/run/secrets/") and not mount["RW"]:
        return f"secret {target.removeprefix('/run/secrets/')}"
    return f"{'writes' if mount['RW'] else 'reads'} {target}"
