"""What a Dockerfile may rely on in the python image."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_probe import Container, image_environment, mounted, run, shell

UNPRIVILEGED = ("--user=12345:12345", "--read-only", "--tmpfs=/tmp", "--env=HOME=/tmp")


def series(python_image: str) -> str:
    return ".".join(image_environment(python_image)["PYTHON_VERSION"].split(".")[:2])


@pytest.mark.parametrize(
    "command", ["python3", "python", "pip3", "pip", "pydoc3", "pydoc", "python3-config", "python-config"]
)
def test_command_is_in_usr_local_bin_and_runs(python_image: str, command: str) -> None:
    """Red when: RUN rm /usr/local/bin/pydoc; RUN ln -sf /bin/false /usr/local/bin/pip."""
    option = {"pydoc": "-k nothing-at-all", "python-config": "--includes"}.get(
        command.replace("3", ""), "--version"
    )
    assert run(python_image, "sh", "-c", f"command -v {command}") == f"/usr/local/bin/{command}"
    shell(python_image, f"{command} {option}")


@pytest.mark.parametrize("command", ["gcc", "curl", "wget", "git", "/usr/bin/python3"])
def test_command_is_absent(python_image: str, command: str) -> None:
    """Red when: RUN ln -s python3.13 /usr/bin/python3; RUN ln -s /bin/true /usr/local/bin/curl."""
    assert shell(python_image, f"command -v {command} || true") == ""


def test_media_types_are_pythons_own(python_image: str) -> None:
    """No table of the system's. Red when: RUN echo "font/woff2 woff2" > /etc/mime.types."""
    script = "import mimetypes, os; print([f for f in mimetypes.knownfiles if os.path.exists(f)])"
    assert run(python_image, "python3", "-c", script) == "[]"


def test_only_the_small_perl_is_there(python_image: str) -> None:
    """Debian's tools need perl-base, nothing the rest. Red when: apt-get install perl."""
    assert (
        shell(python_image, "dpkg-query --show --showformat='${Package}\\n' | grep '^perl' || true")
        == "perl-base"
    )


def test_what_programs_link_to_is_there_or_in_debian(python_image: str) -> None:
    """A program that embeds Python (uWSGI) links to what sysconfig names.

    Where the image lacks it, the package that docker/build_packages.py names must bring it. Red when it has
    another name; RUN ln -sf /nowhere /usr/local/lib/libpython3.13.so.
    """
    names = (
        "import sysconfig; print(*(sysconfig.get_config_var(n) for n in ('LIBDIR', 'LDLIBRARY')), sep='/')"
    )
    script = (
        f'library=$(python3 -c "{names}"); test -e "$library" || {{ apt-get update >&2;'
        f" apt-get install --yes --no-install-recommends libpython{series(python_image)}-dev >&2; }};"
        ' test -e "$library" && echo there'
    )
    assert shell(python_image, script) == "there"


def test_tag_names_the_interpreter(python_image: str) -> None:
    """Red when: the image is tagged python:3.14-slim-trixie."""
    assert python_image.rsplit(":", 1)[-1].startswith(series(python_image))


def test_standard_library_is_whole(python_image: str) -> None:
    """Red when: RUN rm /usr/lib/python3*/lib-dynload/_sqlite3*; RUN rm -r /usr/lib/python3.13/venv."""
    modules = "asyncio bz2 ctypes curses ensurepip lzma readline sqlite3 ssl uuid venv zlib zoneinfo"
    run(python_image, "python3", "-c", f"import {', '.join(modules.split())}", options=UNPRIVILEGED)


def test_standard_library_has_no_bytecode(python_image: str) -> None:
    """So whoever measures or compiles on a stand-in does what he would on the official image.

    Red when: RUN python3 -m compileall -q /usr/lib/python3.13/json.
    """
    assert shell(python_image, "find / -xdev -name '*.pyc' | head -n 3") == ""


def test_public_certificates_and_time_zones_are_there(python_image: str) -> None:
    """Red when: RUN rm /etc/ssl/certs/ca-certificates.crt; RUN rm -r /usr/share/zoneinfo/Europe."""
    script = (
        "import ssl, zoneinfo; zoneinfo.ZoneInfo('Europe/Berlin');"
        "print(len(ssl.create_default_context(cafile='/etc/ssl/certs/ca-certificates.crt').get_ca_certs()))"
    )
    assert int(run(python_image, "python3", "-c", script)) > 100


def test_headers_are_there_for_a_compiler_installed_later(python_image: str) -> None:
    """Red when: RUN rm /usr/include/python3.13/Python.h; RUN rm -r /usr/include/*-linux-gnu/python3.13."""
    script = "import sysconfig; print(sysconfig.get_path('include'))"
    folder = run(python_image, "python3", "-c", script)
    found = shell(
        python_image,
        f"ls {folder}/Python.h; grep -rl 'define SIZEOF_LONG' /usr/include /usr/local/include",
    )
    assert f"{folder}/Python.h" in found
    assert "pyconfig.h" in found


def write_wheel(folder: Path) -> Path:
    """Write the smallest wheel with a module and a console script."""
    files = {
        "probe_wheel.py": "def main():\n    print('from the wheel')\n",
        "probe_wheel-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: probe-wheel\nVersion: 1.0\n",
        "probe_wheel-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: probe\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "probe_wheel-1.0.dist-info/entry_points.txt": "[console_scripts]\nprobe-wheel = probe_wheel:main\n",
    }
    record = "probe_wheel-1.0.dist-info/RECORD"
    lines = [f"{record},,"]
    path = folder / "probe_wheel-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(text)}")
        wheel.writestr(record, "\n".join([*lines, ""]))
    return path


def test_pip_installs_system_wide(python_image: str, tmp_path: Path) -> None:
    """No "externally managed" marker. Red when: RUN touch /usr/lib/python3.13/EXTERNALLY-MANAGED."""
    wheel = write_wheel(tmp_path)
    tmp_path.chmod(0o755)
    script = f"pip install --quiet --no-index /wheels/{wheel.name}; command -v probe-wheel; probe-wheel"
    printed = shell(python_image, script, *mounted(tmp_path, "/wheels"))
    assert printed.splitlines()[-2:] == ["/usr/local/bin/probe-wheel", "from the wheel"]


def test_virtual_environment_moves_between_containers(python_image: str, volume: str, tmp_path: Path) -> None:
    """Built in one stage, used in another, read-only and as somebody else.

    Red when: RUN rm -r /usr/lib/python3.13/ensurepip;
    RUN rm /usr/local/bin/python && ln -s python3.13 /usr/bin/python.
    """
    wheel = write_wheel(tmp_path)
    tmp_path.chmod(0o755)
    shell(
        python_image,
        f"python -m venv /opt/venv; /opt/venv/bin/pip install --quiet --no-index /wheels/{wheel.name}",
        f"--volume={volume}:/opt/venv",
        *mounted(tmp_path, "/wheels"),
    )
    options = (f"--volume={volume}:/opt/venv:ro", *UNPRIVILEGED)
    assert shell(python_image, "/opt/venv/bin/probe-wheel", *options) == "from the wheel"
    settings = shell(python_image, "cat /opt/venv/pyvenv.cfg", *options)
    assert "home = /usr/local/bin" in settings
    prefix = shell(python_image, "/opt/venv/bin/python -c 'import sys; print(sys.prefix)'", *options)
    assert prefix == "/opt/venv"


def test_stops_on_sigterm(python_image: str, start: Callable[..., Container]) -> None:
    """The signal reaches the program as it is.

    Red when: STOPSIGNAL SIGHUP; ENTRYPOINT ["sh", "-c", '"$@"; exit 0', "sh"].
    """
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    container = start(python_image, "python3", "-c", program)
    container.wait_for("the program to start", lambda: "ready" in container.logs())
    assert container.stop() == 7
