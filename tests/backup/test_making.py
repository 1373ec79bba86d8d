"""What cannot be backed up, and what is removed again."""

from __future__ import annotations

import fcntl
import json
import shutil
from datetime import UTC, datetime, timedelta

from backupkit import MEDIA_ROOT, Kept, backup, folder, listed, one_offs, started, until

from tests.support.world import World, docker


def test_a_file_that_cannot_be_read_is_named(prod: World, kept: Kept) -> None:
    """Red when it is left out silently: the backup would be whole, and the file gone."""
    web = f"{prod.project}-web-1"
    docker("exec", web, "sh", "-c", f"cd {MEDIA_ROOT} && echo x > private && chmod 600 private")
    # A host's root makes backups as 10001, to whom the file belongs: so it is given to somebody else.
    _as_root(prod, "chown 0:0 /media/private")
    before = set(listed(prod))
    refused = prod.invoke("db.backup", check=False)
    _as_root(prod, "rm /media/private")
    assert refused.returncode == 1
    assert "SLIP-100" in refused.stderr and f"{MEDIA_ROOT}/private" in refused.stderr
    assert set(listed(prod)) == before


def test_a_link_that_leads_out_is_named(prod: World, kept: Kept) -> None:
    """Red when an archive is made that could not be restored."""
    web = f"{prod.project}-web-1"
    docker("exec", web, "ln", "-s", "/etc/hostname", f"{MEDIA_ROOT}/out")
    refused = prod.invoke("db.backup", check=False)
    docker("exec", web, "rm", f"{MEDIA_ROOT}/out")
    assert refused.returncode == 1
    assert "SLIP-100" in refused.stderr and f"{MEDIA_ROOT}/out" in refused.stderr


def _as_root(own: World, script: str) -> None:
    volume = f"{own.project}_media:/media"
    image = f"{own.project}-backup"
    docker("run", "--rm", "--user", "0", "--volume", volume, "--entrypoint", "sh", image, "-c", script)


def test_a_disk_that_is_too_full_is_refused_before_anything_is_written(prod: World, kept: Kept) -> None:
    """Red when it is begun, and fills the disk."""
    small = prod.root / "small.yaml"
    small.write_text(
        "services: {backup: {volumes: "
        "[{type: tmpfs, target: /backups, tmpfs: {size: 1000000, mode: 01777}}]}}\n"
    )
    prod.write_env(COMPOSE_OVERLAYS="small.yaml")
    try:
        refused = prod.invoke("db.backup", check=False)
    finally:
        prod.write_env(COMPOSE_OVERLAYS="")
    assert refused.returncode == 1
    assert "SLIP-099" in refused.stderr and "1 MB are free" in refused.stderr, refused.stderr


def test_two_at_a_time_wait_for_each_other(prod: World, kept: Kept) -> None:
    """Red when one removes what the other is writing."""
    tasks = [started(prod, "db.backup", "--label", f"racing-{number}") for number in range(3)]
    for task in tasks:
        said = task.communicate(timeout=300)[1]
        assert task.returncode == 0, said
    made = [name for name in listed(prod) if "racing" in name]
    assert len(made) == 3
    for name in made:
        (folder(prod) / name).unlink()


def test_who_may_do_what(prod: World, kept: Kept) -> None:
    """Red when it is root, can write where it need not, or has a network or a secret too many."""
    lock = folder(prod) / ".work" / "make.lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        task = started(prod, "db.backup", "--label", "looked-at")
        until(task, "waiting for another one")
        [name] = one_offs(prod, "backup-run")
        [maker] = json.loads(docker("inspect", name))
        listing = docker("exec", name, "sh", "-c", "id -u; ls /run/secrets; touch /x /app/media/x; true")
    task.communicate(timeout=120)
    assert listing.split() == ["10001", "postgres_password"]
    host = maker["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and host["PidsLimit"] and host["Memory"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert list(maker["NetworkSettings"]["Networks"]) == [f"{prod.project}_data"]
    assert {mount["Destination"]: mount["RW"] for mount in maker["Mounts"] if mount["Type"] != "tmpfs"} == {
        "/backups": True, MEDIA_ROOT: False, "/srv/nginx": False, "/run/secrets/postgres_password": False,
    }  # fmt: skip


def test_prune_keeps_what_was_asked_for(prod: World, kept: Kept) -> None:
    """Red when the newest goes, another stack's goes, or it is done without consent."""
    # It is of today and not the newest: other tests need it.
    aside = kept.path.rename(prod.root / kept.path.name)
    newest = backup(prod, "newest")
    now = datetime.now(UTC)
    old = {}
    for days in (1, 2, 3, 40, 80):
        name = f"{(now - timedelta(days=days)).strftime('%Y%m%dT%H%M%SZ')}-prod.tar"
        old[days] = folder(prod) / name
        old[days].write_bytes(b"")
    other = folder(prod) / "20200101T000000Z-dev.tar"
    other.write_bytes(b"")
    dump = folder(prod) / "20200101T000000Z-before-long-ago.dump"
    dump.write_bytes(b"")
    half = folder(prod) / ".work" / "make"
    half.mkdir()
    (half / "archive").write_bytes(b"x")
    for path in (half, half / "archive"):
        shutil.chown(path, newest.stat().st_uid)
    prod.write_env(BACKUP_KEEP_DAILY="2", BACKUP_KEEP_WEEKLY="0", BACKUP_KEEP_MONTHLY="2")
    refused = prod.invoke("db.prune", check=False)
    assert "SLIP-069" in refused.stderr and old[3].exists()
    going = {entry["name"] for entry in json.loads(prod.invoke("db.prune", "--yes", "--json").stdout)}
    assert newest.exists() and old[1].exists() and other.exists()
    assert not dump.exists() and not half.exists()
    assert {old[3].name, old[80].name, dump.name} <= going
    assert not any((folder(prod) / name).exists() for name in going)
    other.unlink()
    aside.rename(kept.path)
