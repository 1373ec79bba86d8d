"""Fill secrets into the environment, create the places the project writes to, then become the command.

Every container of the project starts here: ``{{secret:NAME}}`` in the value of an environment
variable becomes the content of ``/run/secrets/NAME``, so ``docker inspect`` shows the placeholder and
the process gets the secret, percent-encoded where the value is a URL (``fill``). The command replaces this
process (exec): it is PID 1, or the child of Docker's init, and receives SIGTERM itself.

In production ``/opt/slipway/paths`` lists the paths that the build has replaced by links, a line ``KIND TAB
PATH`` for each: ``data-file`` and ``data-folder`` (DATA_PATHS, in the volume), ``folder`` and ``file``
(written when the settings are imported, in the place for temporary files) and ``log`` (a log file: the
container's standard error).

Temporary files go to the volume at ``/srv/temporary`` where there is one: ``/tmp`` is memory. Each process
that starts here gets a folder of its own there, as TMPDIR, and removes those whose process has ended.

``/opt/slipway/base-environment`` has the variables that production's base image sets, NAME=VALUE with a zero
byte after each: production is not built on that image but from its files (docs/base-image.md). Any other
setting of a variable wins.

Standard library only, and little of it: this runs before every ``exec`` of a task too.
"""
# Importing pathlib would cost more than all the rest; and exec is the point of the file.
# ruff: noqa: PTH100, PTH103, PTH108, PTH110, PTH112, PTH118, PTH120, PTH123, PTH208, S606

import os
import re
import sys

SECRETS = "/run/secrets"
APP = "/app"
PATHS = "/opt/slipway/paths"
DATA = "/srv/data"
# The target of links of the build; itself a link into the volume below, if there is one.
TEMPORARY = "/tmp/slipway"  # noqa: S108 - this container's alone
TEMPORARY_VOLUME = "/srv/temporary"
# Newer engines give a soft limit of 1024, which is less than a worker of the server may have connections.
OPEN_FILES = 65_536
# The project's own content of paths of DATA_PATHS.
FIRST = "/app/.slipway/first"
OVERLAY = "slipway_settings"
BASE = "/opt/slipway/base-environment"
# The image's own; also in the Dockerfile and in base_environment.py.
USUAL_PATH = "/opt/venv/bin:/usr/local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# {{word:...}} is the kit's. Braces of any other shape are the project's own and stay as they are.
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*:\s*([^{}]*?)\s*\}\}")
SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# RFC 3986, section 3.1; the second part for postgres+psycopg and jdbc:postgresql.
URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.:-]*://")
# Section 2.3: characters that stay unencoded in a URL. Any other may have a meaning in one of its parts.
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class EntrypointError(Exception):
    """A problem and its fix, ready to print."""


def read_secret(name, variable, secrets=SECRETS):
    """Return the content of the secret ``name`` without trailing newlines, as Docker's own images do.

    Raises EntrypointError naming ``variable`` when there is no such secret or it cannot be read.
    """
    path = os.path.join(secrets, name)
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read().rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        there = ", ".join(sorted(os.listdir(secrets))) if os.path.isdir(secrets) else ""
        raise EntrypointError(
            f"SLIP-058: {variable} names the secret {name!r}, but {path} does not exist\n"
            f"  fix: correct the name, or give this service the secret (it has: {there or 'none'})"
        ) from None
    except (PermissionError, IsADirectoryError, UnicodeDecodeError) as error:
        raise EntrypointError(
            f"SLIP-058: {variable} names the secret {name!r}, but {path} cannot be read"
            f" by uid {os.getuid()}: {error.__class__.__name__}\n"
            "  fix: make it a text file that this user may read"
        ) from None
    if "\0" in content:
        raise EntrypointError(
            f"SLIP-058: {variable} names the secret {name!r}, and {path} holds a zero byte\n"
            "  fix: no variable can hold one; let the project read the file itself"
        )
    return content


def percent_encoded(text):
    """Return ``text`` as one part of a URL: any character but the unreserved ones as %XX of its UTF-8.

    As urllib.parse.quote(text, safe="") does; importing that would cost more than all the rest.
    """
    return "".join(chr(byte) if byte in UNRESERVED else f"%{byte:02X}" for byte in text.encode())


def fill(value, content):
    """Return the text ``value`` with each placeholder replaced by what ``content(match)`` returns.

    The one rule of images, builds and tasks: if ``value`` is a URL, the content is a part of it and is
    percent-encoded (readers of the URL decode it again); if the placeholder is the whole value, or the value
    is not a URL, the content is inserted unchanged.
    """
    if not URL.match(value):
        return PLACEHOLDER.sub(content, value)
    return PLACEHOLDER.sub(lambda match: percent_encoded(content(match)), value)


def resolve(environment, secrets=SECRETS):
    """Return ``environment`` (name to value) with every placeholder replaced.

    Raises EntrypointError for a placeholder that is not ``{{secret:NAME}}`` or a secret that is missing.
    """
    resolved = dict(environment)
    for variable, value in environment.items():
        if "{{" not in value:
            continue

        def content(match, variable=variable):
            kind, name = match.groups()
            if kind != "secret" or not SECRET_NAME.fullmatch(name):
                raise EntrypointError(
                    f"SLIP-058: {variable} holds the unknown placeholder {match.group()}\n"
                    f"  fix: write {{{{secret:NAME}}}}, where NAME is a file in {secrets}"
                )
            return read_secret(name, variable, secrets)

        resolved[variable] = fill(value, content)
    return resolved


def with_temporary_folder(environment, volume=TEMPORARY_VOLUME):
    """Return ``environment`` with TMPDIR, a new folder in ``volume``; unchanged without one, or if set.

    The folder belongs to this process, and to the program it becomes, by a lock on it: the program inherits
    the descriptor. The project's containers share the volume; a folder without a lock is abandoned.
    """
    if environment.get("TMPDIR") or not os.access(volume, os.W_OK):
        return environment
    try:
        own, left = own_folder(volume)
    except OSError:
        # A full disk must not prevent the start: /tmp remains, in memory.
        return environment
    for path, descriptor in left:
        remove(path)
        os.close(descriptor)
    return {**environment, "TMPDIR": own}


def own_folder(volume):
    """Create and lock a folder in ``volume``; return it, and the results of ``abandoned`` for the others."""
    import fcntl  # noqa: PLC0415 - not without a volume

    own = os.path.join(volume, os.urandom(6).hex())
    everything = os.open(volume, os.O_RDONLY)
    try:
        # Otherwise a process that starts at the same time may remove this folder before it is locked.
        fcntl.flock(everything, fcntl.LOCK_EX)
        left = [lock for name in os.listdir(volume) if (lock := abandoned(os.path.join(volume, name)))]
        os.mkdir(own, 0o700)  # noqa: PTH102 - as above
        kept = os.open(own, os.O_RDONLY)
        fcntl.flock(kept, fcntl.LOCK_SH)
        os.set_inheritable(kept, True)
    finally:
        os.close(everything)
    return own, left


def abandoned(path):
    """Return ``path`` and the descriptor of a lock on it when nobody else has one; None otherwise."""
    import fcntl  # noqa: PLC0415 - as above

    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return path, descriptor


def remove(path):
    """Remove a folder that nobody uses, as far as possible."""
    import shutil  # noqa: PLC0415 - not at every start

    shutil.rmtree(path, ignore_errors=True)


def allow_open_files():
    """Raise this process's soft limit of open files to OPEN_FILES, as far as the hard limit allows."""
    import resource  # noqa: PLC0415 - as the others

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def prepare(root="", paths=PATHS, temporary=""):
    """Create the missing targets of the links of the build; see the list above.

    ``root`` is put before every path; ``temporary`` is a folder on disk for temporary files, if there is one.
    Raises EntrypointError when a place cannot be written.
    """
    try:
        with open(root + paths, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    if temporary and lines and not os.path.lexists(root + TEMPORARY):
        suppress_existing(os.symlink, temporary, root + TEMPORARY)
    for line in lines:
        kind, path = line.split("\t")
        target = root + (DATA if kind.startswith("data-") else TEMPORARY) + path
        try:
            make(kind, target, first=root + FIRST + path)
        except OSError as error:
            raise EntrypointError(
                f"SLIP-139: {path} leads to {target}, which cannot be created: {error.strerror}\n"
                f"  fix: this service needs the volume data at {DATA}, a tmpfs at /tmp, and the user 10001"
            ) from None


def make(kind, target, first):
    """Create ``target`` by its ``kind``, unless it exists; ``first`` has its first content."""
    if os.path.lexists(target):
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if kind == "log":
        suppress_existing(os.symlink, "/dev/stderr", target)
    elif os.path.exists(first):
        copy_first(first, target)
    elif kind.endswith("folder"):
        os.makedirs(target, exist_ok=True)


def copy_first(first, target):
    """Copy ``first`` to ``target``, whole or not at all; another container may be doing the same."""
    import shutil  # noqa: PLC0415 - not at every start

    draft = f"{target}.{os.uname().nodename}.{os.getpid()}.slipway"
    try:
        if os.path.isdir(first):
            shutil.copytree(first, draft, symlinks=True)
            suppress_existing(os.rename, draft, target)
        else:
            shutil.copyfile(first, draft)
            # Not a rename, which would replace a file that another container has put there and
            # the project has changed since.
            suppress_existing(os.link, draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if os.path.lexists(draft):
            os.unlink(draft)


def suppress_existing(change, source, target):
    """Call ``change``, and leave alone a ``target`` that was created meanwhile."""
    try:
        change(source, target)
    except OSError:
        if not os.path.lexists(target):
            raise


def with_base(environment, file=BASE):
    """Return ``environment`` with the base image's variables, where nothing else has set them."""
    try:
        with open(file, "rb") as recorded:
            entries = os.fsdecode(recorded.read()).split("\0")
    except FileNotFoundError:
        return environment
    base = dict(entry.split("=", 1) for entry in entries if entry)
    own = {name: value for name, value in environment.items() if (name, value) != ("PATH", USUAL_PATH)}
    return {"PATH": USUAL_PATH, **base, **own}


def with_overlay(environment):
    """Return ``environment`` with the base image's variables, and the settings overlay if it names one.

    Django imports the overlay instead of the project's settings. A build's collect_static.py calls this too.

    Raises EntrypointError when DJANGO_SETTINGS_MODULE does not name the project's settings.
    """
    environment = with_base(environment)
    module = environment.get("DJANGO_SETTINGS_MODULE", "")
    if not environment.get("SLIPWAY_OVERLAY") or module == OVERLAY:
        return environment
    if not module:
        raise EntrypointError(
            "SLIP-138: SETTINGS_OVERLAY needs the name of the project's settings module\n"
            "  fix: set DJANGO_SETTINGS_MODULE in .env"
        )
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "settings_overlay")
    path = [folder, environment.get("PYTHONPATH", "")]
    return {
        **environment,
        "SLIPWAY_SETTINGS_MODULE": module,
        "DJANGO_SETTINGS_MODULE": OVERLAY,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }


def main(command):
    """Exec ``command`` (argv) with the resolved environment; return an exit code only on failure."""
    if not command:
        print("entrypoint: no command given\n  fix: name one, e.g. python manage.py check", file=sys.stderr)
        return 1
    try:
        environment = with_temporary_folder(with_overlay(resolve(os.environ)))
        prepare(temporary=environment.get("TMPDIR", ""))
        allow_open_files()
    except EntrypointError as error:
        print(error, file=sys.stderr)
        return 1
    # The shell's two codes for "found but not executable" and "not found".
    try:
        os.execvpe(command[0], command, environment)
    except PermissionError:
        print(f"entrypoint: {command[0]} is not executable", file=sys.stderr)
        return 126
    except OSError as error:
        print(f"entrypoint: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
