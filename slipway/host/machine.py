"""Makes this machine ready: uses, starts or installs its engine, or refuses it and names the fix."""

from __future__ import annotations

import os
import pwd
import shutil
import time
from pathlib import Path

from invoke.exceptions import Exit

from slipway.core.output import note
from slipway.core.run import Runner
from slipway.host import enginepackages
from slipway.host.enginecheck import (
    PLUGINS,
    WAY_OUT,
    Probe,
    check_floor,
    check_versions,
    plugin_version,
    probe,
    refusal,
    refuse,
)
from slipway.host.machinereport import check_disk, report
from slipway.host.osinfo import Host, detect

__all__ = ["RUN_AGAIN", "check_disk", "check_versions", "ensure", "report"]

RUN_AGAIN = 75
"""Exit code (EX_TEMPFAIL of sysexits.h): groups changed, which only a new process can see."""

_DETACHED_LOG = "/var/log/dockerd.log"
_SERVICE_LOG = "/var/log/docker.log"
_INIT_SCRIPT = Path("/etc/init.d/docker")
_START_SECONDS = 60.0
_POLL_SECONDS = 0.25


def ensure(runner: Runner, host: Host | None = None) -> None:
    """Ensure that an engine answers, with its plugins, none below the floor; start or install it if needed.

    ``host`` is this machine unless given. Raises ``SlipwayError`` SLIP-023 to SLIP-030, all with
    exit code 3, and ``Exit`` with ``RUN_AGAIN`` once the person has joined the group docker.
    """
    found = probe(runner)
    if found.state != "answers":
        found = _obtain(runner, host or detect(runner), found)
    missing = [name for name in PLUGINS if plugin_version(runner, name) is None]
    if missing:
        _install_plugins(runner, host or detect(runner))
    check_floor(runner, found)


def _obtain(runner: Runner, host: Host, found: Probe) -> Probe:
    if found.state in {"unknown-context", "denied"} or not found.local:
        raise refusal(runner, found)
    installs = found.state == "no-cli" or not _has_daemon()
    if installs:
        _install(runner, host)
        # Debian's package starts its service itself where that is allowed.
        found = probe(runner)
    if found.state == "silent":
        found = _start(runner, host)
    if installs and found.state == "denied":
        _join_group(runner, host)
    if found.state != "answers":
        raise refusal(runner, found)
    return found


def _has_daemon() -> bool:
    # The system folders are not on an unprivileged person's PATH on Debian.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    return shutil.which("dockerd", path=path) is not None


def _install(runner: Runner, host: Host) -> None:
    wanted = enginepackages.plan(host)
    if wanted is None or not host.rights:
        why = "you are neither root nor able to sudo" if wanted else "its packages are not known to this kit"
        raise refuse(
            "SLIP-023",
            f"there is no Docker Engine on {host.name}, and none can be installed: {why}",
            f"install it by hand, as root: {enginepackages.advice(host)}\n  or: {WAY_OUT}",
        )
    note(f"bootstrap: installing Docker Engine, Compose and buildx from the packages of {host.name}")
    enginepackages.install(runner, host, wanted)


def _join_group(runner: Runner, host: Host) -> None:
    """Add this person to the group docker of the newly installed engine, and print what that means."""
    person = pwd.getpwuid(os.getuid()).pw_name
    note(
        f"bootstrap: {person} joins the group docker, whose members are as good as root on this machine "
        f"(undo: sudo gpasswd -d {person} docker)"
    )
    runner.run(host.as_root(["usermod", "--append", "--groups", "docker", person]))
    raise Exit("bootstrap: continuing as a member of the group docker", RUN_AGAIN)


def _install_plugins(runner: Runner, host: Host) -> None:
    """Install the plugins if the engine is the distribution's; with another engine's they would clash."""
    if host.rights and runner.capture(["dpkg-query", "-W", "docker.io"]).returncode == 0:
        _install(runner, host)


def _start(runner: Runner, host: Host) -> Probe:
    if not host.rights:
        raise refuse(
            "SLIP-025",
            "Docker Engine is installed but not running, and you are neither root nor able to sudo",
            f"as root: systemctl start docker (without systemd: service docker start)\n  or: {WAY_OUT}",
        )
    note("bootstrap: starting Docker Engine")
    log = _launch(runner, host)
    deadline = time.monotonic() + _START_SECONDS
    while (found := probe(runner)).state == "silent" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if found.state == "silent":
        last = runner.capture(host.as_root(log)).stdout.strip() or "(its log is empty)"
        raise refuse(
            "SLIP-025",
            f"Docker Engine was started but does not answer: {found.detail}\n{last}",
            "those lines are the end of its log; fix the error they name and rerun ./bootstrap\n"
            f"  or: {WAY_OUT}",
        )
    return found


def _launch(runner: Runner, host: Host) -> list[str]:
    """Start the engine by the first way that this machine has; return the command that shows its log."""
    if host.systemd:
        runner.run(host.as_root(["systemctl", "start", "docker"]), check=False)
        return ["journalctl", "-u", "docker", "-n", "15", "--no-pager", "-o", "cat"]
    if _INIT_SCRIPT.exists():
        begun = runner.run(host.as_root(["service", "docker", "start"]), check=False)
        if begun.returncode == 0:
            return ["tail", "-n", "15", _SERVICE_LOG]
    # Its own session: neither Ctrl-C nor closing the terminal may end the engine.
    runner.run(host.as_root(["sh", "-c", f"setsid dockerd >>{_DETACHED_LOG} 2>&1 </dev/null &"]))
    return ["tail", "-n", "15", _DETACHED_LOG]
