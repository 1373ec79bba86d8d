"""Every container of production has what `grants.py` lists and nothing else, as engine and kernel see it."""

from __future__ import annotations

import json
import re

import pytest
from grants import GRANTS, granted
from inside import Container, by_service, execute, running

from tests.support.world import ROOT, World

# What a kernel gives every container; its own contents are checked below.
_KERNEL = ("/proc", "/dev", "/sys")


def test_every_service_of_the_configuration_is_looked_at(prod: World) -> None:
    """Red when a service is added to the Compose files without an entry in GRANTS, or does not start."""
    services = set(json.loads(prod.invoke("config", "--json").stdout)["services"])
    assert services == set(by_service(prod)) == set(GRANTS)


def test_each_container_has_what_it_needs_and_nothing_else(prod: World) -> None:
    """Red when a service gets a mount, a network, a port, a secret, a capability or another user; seen with
    `networks: [edge, data]` and `cap_add` for nginx, with `:ro` gone from its /srv/media, and with
    `user: "0:0"` for web.
    """
    for name, container in by_service(prod).items():
        assert granted(container) == set(GRANTS[name]), name


def test_no_rule_without_exceptions_is_missing(prod: World) -> None:
    """Red when cap_drop, no-new-privileges, read_only or a limit is taken from any service."""
    for name, container in by_service(prod).items():
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"], name
        # And so neither seccomp nor AppArmor is switched off.
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert host["ReadonlyRootfs"], name
        assert 0 < host["PidsLimit"] <= 1024, name
        assert 0 < host["Memory"] == host["MemorySwap"], f"{name}: no swap beyond its memory"
        assert host["CpuShares"] > 0, name
        assert not host["OomKillDisable"] and host["OomScoreAdj"] >= 0, name
        assert host["IpcMode"] == "private", name
        assert host["LogConfig"]["Config"].keys() == {"max-size", "max-file"}, name
        assert host["MaskedPaths"] and host["ReadonlyPaths"], name


def _processes(container: Container) -> list[dict[str, list[str]]]:
    """The status of every process in a container, field by field.

    But for the engine's own on its way to become a command (a health check), which still has its rights.
    """
    text = execute(container, "sh", "-c", "for each in /proc/[0-9]*/status; do cat $each; echo; done")
    blocks = [dict(re.findall(r"(?m)^(\w+):\s+(.*)$", block)) for block in text.split("\n\n")]
    own = [block for block in blocks if "Seccomp" in block and not block["Name"].startswith("runc:[")]
    return [{field: value.split() for field, value in block.items()} for block in own]


def test_no_process_is_root_or_can_become_more_than_it_is(prod: World) -> None:
    """Red without `user:` (nginx then starts as root), with a capability added, or without no-new-privileges;
    seen with `user: "0:0"` for web, and with `cap_add: [CHOWN]` for nginx.
    """
    for name, container in running(prod).items():
        processes = _processes(container)
        assert len(processes) >= 2, name
        for process in processes:
            assert "0" not in process["Uid"] + process["Gid"] + process["Groups"], (name, process["Name"])
            for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert process[kind] == ["0000000000000000"], (name, process["Name"], kind)
            assert process["NoNewPrivs"] == ["1"], name
            assert process["Seccomp"] == ["2"], f"{name}: a filter is in force"


def test_nothing_can_be_written_but_what_is_listed(prod: World) -> None:
    """Everything is tried: `find` asks the kernel, as the container's own user, about each file.

    Red without read_only, or when an image has a volume of its own.
    """
    prune = [word for path in _KERNEL for word in ("-path", path, "-prune", "-o")]
    for name, container in running(prod).items():
        listed = {grant.split()[1] for grant in GRANTS[name] if grant.startswith(("writes ", "tmpfs "))}
        # /run is the real name of /var/run.
        listed |= {path.replace("/var/run", "/run", 1) for path in listed}
        found = execute(container, "find", "/", *prune, "!", "-type", "l", "-writable", "-print").splitlines()
        writable = [path for path in found if path.startswith("/") and "Permission denied" not in path]
        assert any(path in listed for path in writable), f"{name}: find has found nothing at all"
        stray = [p for p in writable if not any(p == place or p.startswith(f"{place}/") for place in listed)]
        assert stray == [], name
        kernel = execute(container, "find", "/sys", "/proc/sys", "/proc/sysrq-trigger", "-writable")
        assert [
            line for line in kernel.splitlines() if line.startswith("/") and "denied" not in line
        ] == [], name
        for path in ("/written", "/etc/written", "/usr/local/bin/written", "/proc/sys/kernel/core_pattern"):
            assert execute(container, "sh", "-c", f"echo x > {path} && echo done").strip() != "done", (
                name,
                path,
            )


def test_nothing_put_into_memory_can_be_run_and_memory_ends(prod: World) -> None:
    """Red with `exec` among the options of a tmpfs, or without its size: a full one then counts until the
    container is killed; seen with `/tmp:mode=1777` for nginx.
    """
    for name, container in running(prod).items():
        mounts = [line.split() for line in execute(container, "cat", "/proc/mounts").splitlines()]
        options = {path: set(flags.split(",")) for _, path, kind, flags, *_ in mounts if kind == "tmpfs"}
        for path in ("/tmp", "/dev/shm"):
            assert {"rw", "nosuid", "nodev", "noexec"} <= options[path], (name, path)
            assert any(flag.startswith("size=") for flag in options[path]), (name, path)
        filled = execute(container, "sh", "-c", "head -c 200M /dev/zero > /tmp/filling; rm /tmp/filling")
        assert "No space left" in filled, name
        said = execute(container, "sh", "-c", "cp /bin/true /tmp/program; /tmp/program; rm /tmp/program")
        assert "Permission denied" in said, name
    assert all(c["State"]["Health"]["Status"] == "healthy" for c in running(prod).values())


# Of nginx: twice worker_connections, and the static files that stay open. PostgreSQL keeps to
# max_files_per_process (1000) by itself, Valkey asks for its maxclients (10000).
_OPEN_FILES = {"web": 65_536, "worker": 65_536, "nginx": 9216, "redis": 10_032, "db": 1024}


def test_files_may_be_opened_where_the_engine_gives_few(prod: World) -> None:
    """Every process of the server counts. The engine is told to give 1024, as newer ones do.

    Red without `allow_open_files` in docker/entrypoint.py, or `worker_rlimit_nofile` in nginx.conf.
    """
    look = "for p in /proc/[0-9]*; do echo $(cut -d' ' -f4 $p/stat) $p; cat $p/limits; done"
    for name, wanted in _OPEN_FILES.items():
        said = execute(running(prod)[name], "sh", "-c", look)
        found = re.findall(r"^(\d+) /proc/(\d+)$.*?^Max open files +(\d+)", said, re.MULTILINE | re.DOTALL)
        # Docker's init is process 1; it has started the server, and that its workers.
        servers = {pid for parent, pid, _ in found if parent == "1"}
        limits = [int(soft) for parent, _, soft in found if parent in servers]
        # nginx's master needs few, and raises its workers' alone.
        limits += [int(soft) for parent, _, soft in found if parent == "1" and name != "nginx"]
        most = running(prod)[name]["HostConfig"]["Ulimits"][0]["Hard"]
        assert limits and min(limits) >= min(wanted, most), (name, found)


@pytest.mark.parametrize("service", ["web", "nginx"])
def test_whoever_breaks_in_finds_nothing_to_change(prod: World, service: str) -> None:
    """Code, static files, configuration of others, secrets of others, the engine.

    Red when the secrets' folder is mounted whole, or a file belongs to the user who serves it.
    """
    container = by_service(prod)[service]
    for path in (
        "/app/manage.py",
        "/opt/slipway/entrypoint.py",
        "/srv/static/x",
        "/srv/media/x",
        "/etc/nginx/x",
    ):
        assert execute(container, "sh", "-c", f"echo x >> {path} && echo done").strip() != "done", path
    everything = execute(container, "find", "/run", "/var/run", "-type", "f", "-o", "-type", "s")
    assert not re.search(r"backup|passphrase|tls|docker\.sock", everything), everything


def _row(service: str) -> str:
    """The row of a service in the table of docs/security.md."""
    grants = sorted(GRANTS[service])
    user = next(grant.split()[1] for grant in grants if grant.startswith("user "))
    networks = [f"`{grant.split()[1]}`" for grant in grants if grant.startswith("network ")]
    written = [f"`{grant.split()[1]}`" for grant in grants if grant.startswith("writes ")]
    memory = [f"`{grant.split()[1]}` {grant.split()[3]}" for grant in grants if grant.startswith("tmpfs ")]
    secrets = [f"`{grant.split()[1]}`" for grant in grants if grant.startswith("secret ")]
    if "`api_token`" in secrets:
        secrets = ["every file of `secrets/`"]
    cells = [f"`{service}`", user, *(", ".join(cell) for cell in (networks, written, memory, secrets))]
    return f"| {' | '.join(cells)} |".replace("  ", " ")


def test_the_page_shows_the_same_table() -> None:
    """Red when a container is given something and docs/security.md does not say so."""
    page = (ROOT / "docs" / "security.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `[a-z-]+` \| \d+:\d+ ", line)]
    assert rows == [_row(service) for service in sorted(GRANTS)]
