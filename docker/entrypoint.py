"""Fill secrets into the environment, then become the command.

Every container of the project starts here: ``{{secret:NAME}}`` in the value of an environment
variable becomes the content of ``/run/secrets/NAME``, so ``docker inspect`` shows the placeholder and
the process gets the secret. The command replaces this process (exec): it is PID 1, or the child of
Docker's init, and receives SIGTERM itself.

Standard library only, and little of it: this runs before every ``exec`` of a task too.
"""
# Importing pathlib would cost more than all the rest; and exec is the point of the file.
# ruff: noqa: PTH112, PTH118, PTH123, PTH208, S606

import os
import re
import sys

SECRETS = "/run/secrets"
# {{word:...}} is the kit's. Braces of any other shape are the project's own and stay as they are.
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*:\s*([^{}]*?)\s*\}\}")
SECRET_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class EntrypointError(Exception):
    """What is wrong and the fix, ready to print."""


def read_secret(name, variable, secrets=SECRETS):
    """Return the content of the secret ``name`` without trailing newlines, as Docker's own images do.

    Raises EntrypointError naming ``variable`` when there is no such secret or it cannot be read.
    """
    path = os.path.join(secrets, name)
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().rstrip("\r\n")
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


def resolve(environment, secrets=SECRETS):
    """Return ``environment`` (name to value) with every placeholder replaced.

    Raises EntrypointError for a placeholder that is not ``{{secret:NAME}}`` or a secret that is missing.
    """
    resolved = dict(environment)
    for variable, value in environment.items():
        if "{{" not in value:
            continue

        def fill(match, variable=variable):
            kind, name = match.groups()
            if kind != "secret" or not SECRET_NAME.fullmatch(name):
                raise EntrypointError(
                    f"SLIP-058: {variable} holds the unknown placeholder {match.group()}\n"
                    f"  fix: write {{{{secret:NAME}}}}, where NAME is a file in {secrets}"
                )
            return read_secret(name, variable, secrets)

        resolved[variable] = PLACEHOLDER.sub(fill, value)
    return resolved


def main(command):
    """Exec ``command`` (argv) with the resolved environment; return an exit code only on failure."""
    if not command:
        print("entrypoint: no command given\n  fix: name one, e.g. python manage.py check", file=sys.stderr)
        return 1
    try:
        environment = resolve(os.environ)
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
