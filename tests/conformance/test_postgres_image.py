"""What a compose file and an init script may rely on in the postgres image."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from engine_probe import KILLED, Container, docker, image_config, image_environment, mounted, run, shell

Start = Callable[..., Container]

PASSWORD = "correct horse 'battery' \"staple\""


def data_volume(image: str) -> str:
    return next(iter(image_config(image)["Volumes"]))


def listens(container: Container) -> bool:
    """Over TCP: the socket answers for the temporary server of the first start as well.

    The user is named, because a client without a passwd entry has no name of its own.
    """
    probe = ("pg_isready", "--quiet", "--host=127.0.0.1", "--username=postgres")
    return docker("exec", container.id, *probe, check=False).returncode == 0


def ready(container: Container) -> Container:
    container.wait_for("PostgreSQL to listen", lambda: listens(container))
    return container


def query(container: Container, sql: str, user: str = "postgres", database: str = "postgres") -> str:
    return container.exec("psql", "-U", user, "-d", database, "-Atqc", sql)


def step(name: str) -> str:
    return f"INSERT INTO steps (name) VALUES ('{name}');\n"


def write_init_files(folder: Path) -> None:
    """One file of every kind, their names out of step with the order they are written in."""
    files: dict[str, bytes] = {
        "20-sourced.sh": (
            b"SOURCED=yes\n"
            b"docker_process_sql -c \"INSERT INTO steps (name) VALUES ('sourced by ' || current_user)\"\n"
        ),
        "10-first.sql": b"CREATE TABLE steps (id serial, name text);\n" + step("sql").encode(),
        "30-executed.sh": (
            b"#!/bin/sh\nset -e\n"
            b"pg_isready -q -h 127.0.0.1 && tcp=open || tcp=closed\n"
            b'psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" '
            b"-c \"INSERT INTO steps (name) VALUES ('executed, ${SOURCED:-apart}, tcp $tcp')\"\n"
        ),
        "40-packed.sql.gz": gzip.compress(step("gz").encode()),
        "50-packed.sql.xz": lzma.compress(step("xz").encode()),
        "70-ignored.sql.bz2": bz2.compress(step("bz2").encode()),
        "80-ignored.txt": step("txt").encode(),
    }
    for name, content in files.items():
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o755 if name == "30-executed.sh" else 0o644)
    folder.chmod(0o755)


@pytest.fixture(scope="module")
def cluster(postgres_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A cluster made with files for the secrets, a script of every kind and an option."""
    scripts = tmp_path_factory.mktemp("initdb")
    write_init_files(scripts)
    packed = scripts / "60-packed.sql.zst"
    packed.write_bytes(
        subprocess.run(
            ["docker", "run", "--rm", "-i", "--entrypoint=zstd", postgres_image, "-c"],
            input=step("zst").encode(), capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    packed.chmod(0o644)
    secrets = tmp_path_factory.mktemp("secrets")
    for name, value in {"password": f"{PASSWORD}\n", "user": "keeper\n", "db": "shop\n"}.items():
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o400)
    container = Container(
        postgres_image,
        "-c", "max_connections=42",
        options=(
            "--env=POSTGRES_PASSWORD_FILE=/run/secrets/password",
            "--env=POSTGRES_USER_FILE=/run/secrets/user",
            "--env=POSTGRES_DB_FILE=/run/secrets/db",
            "--env=POSTGRES_INITDB_ARGS=--data-checksums --set=work_mem=5MB",
            *mounted(secrets, "/run/secrets"),
            *mounted(scripts, "/docker-entrypoint-initdb.d"),
        ),
    )  # fmt: skip
    try:
        yield ready(container)
    finally:
        docker("rm", "--force", "--volumes", container.id, check=False)


def test_service_user(postgres_image: str) -> None:
    """Red when: RUN usermod --uid 998 postgres; RUN usermod --shell /bin/false postgres."""
    identity = run(postgres_image, "id", "postgres")
    assert identity.startswith("uid=999(postgres) gid=999(postgres)")
    entry = run(postgres_image, "getent", "passwd", "postgres").split(":")
    assert entry[5:] == ["/var/lib/postgresql", "/bin/bash"]


@pytest.mark.parametrize(
    "command",
    [
        "postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_restore", "pg_isready", "gosu", "less",
        "gpg", "xz", "zstd", "docker-entrypoint.sh", "docker-ensure-initdb.sh", "docker-enforce-initdb.sh",
    ],
)  # fmt: skip
def test_command_is_there(postgres_image: str, command: str) -> None:
    """Red when: RUN rm /usr/bin/zstd; RUN chmod -x /usr/local/bin/docker-enforce-initdb.sh."""
    assert run(postgres_image, "sh", "-c", f"command -v {command}").endswith(f"/{command}")


def test_layout(postgres_image: str) -> None:
    """Red when: RUN chmod 755 /var/run/postgresql; RUN chown root /var/lib/postgresql;
    RUN rmdir /docker-entrypoint-initdb.d.
    """
    modes = shell(
        postgres_image,
        "stat -L -c '%n %a %U:%G' /var/run/postgresql /docker-entrypoint-initdb.d;"
        "stat -c '%n %U:%G' /var/lib/postgresql",
    )
    assert modes.splitlines() == [
        "/var/run/postgresql 3777 postgres:postgres",
        "/docker-entrypoint-initdb.d 755 root:root",
        "/var/lib/postgresql postgres:postgres",
    ]


def test_no_cluster_in_the_image(postgres_image: str) -> None:
    """Debian makes one at installation. Red when: RUN pg_createcluster 17 main."""
    assert (
        shell(
            postgres_image,
            "find /var/lib/postgresql /etc/postgresql -name PG_VERSION -o -name pg_hba.conf || true",
        )
        == ""
    )


def test_locale_is_generated(postgres_image: str) -> None:
    """Red when: RUN rm -r /usr/lib/locale/locale-archive."""
    assert "en_US.utf8" in run(postgres_image, "locale", "-a").split()


def test_init_files_run_in_name_order_each_after_its_kind(cluster: Container) -> None:
    """A temporary server without TCP runs them; an executable is a process of its own, a sourced file is not.

    Red when: RUN sed -i "s/listen_addresses=''/listen_addresses='*'/" /usr/local/bin/docker-entrypoint.sh;
    RUN sed -i 's/xzcat/true/' ...; RUN sed -i 's/-x "$file"/-e "$file"/' ...
    """
    names = query(cluster, "SELECT name FROM steps ORDER BY id", "keeper", "shop")
    assert names.splitlines() == [
        "sql", "sourced by keeper", "executed, apart, tcp closed", "gz", "xz", "zst",
    ]  # fmt: skip


def test_values_come_from_the_files(cluster: Container) -> None:
    """The superuser, the database and the password, its newline cut, quotes and spaces kept.

    Red when: RUN sed -i 's/value=$(< /value=x$(</' /usr/local/bin/docker-entrypoint.sh;
    RUN sed -i 's/^listen_addresses/#listen_addresses/' /usr/share/postgresql/postgresql.conf.sample.
    """
    address = cluster.exec("hostname", "-i").split()[0]
    login = (
        "psql",
        "-h",
        address,
        "-U",
        "keeper",
        "-d",
        "shop",
        "-Atqc",
        "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user",
    )
    assert cluster.exec(*login, options=(f"--env=PGPASSWORD={PASSWORD}",)) == "keeper|t"
    refused = cluster.exec(*login, options=("--env=PGPASSWORD=wrong",), check=False)
    assert "password authentication failed" in refused


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_connections", "42"),
        ("listen_addresses", "*"),
        ("data_checksums", "on"),
        ("work_mem", "5MB"),
        ("lc_messages", "en_US.utf8"),
        ("server_encoding", "UTF8"),
        ("password_encryption", "scram-sha-256"),
        ("logging_collector", "off"),
        ("unix_socket_directories", "/var/run/postgresql"),
    ],
)
def test_setting_of_a_new_cluster(cluster: Container, setting: str, value: str) -> None:
    """Red when: ENV LANG=C;
    RUN sed -i 's/^listen_addresses/#&/' /usr/share/postgresql/postgresql.conf.sample.
    """
    assert query(cluster, f"SHOW {setting}", "keeper", "shop") == value


def test_everybody_authenticates_with_a_password(cluster: Container) -> None:
    """Red when: RUN sed -i 's/all all all %s/all all all trust/' /usr/local/bin/docker-entrypoint.sh."""
    last = cluster.exec("sh", "-c", 'tail -n 1 "$PGDATA/pg_hba.conf"')
    assert last == "host all all all scram-sha-256"


def test_server_is_the_first_process_and_not_root(cluster: Container) -> None:
    """Red when: RUN sed -i 's/exec gosu/gosu/' /usr/local/bin/docker-entrypoint.sh."""
    assert cluster.exec("cat", "/proc/1/comm") == "postgres"
    assert cluster.exec("stat", "-c", "%u:%g", "/proc/1") == "999:999"


def test_restart_keeps_the_data_and_runs_no_script_again(cluster: Container) -> None:
    """Red when: RUN sed -i 's/cluster_exists=yes/cluster_exists=/' /usr/local/bin/docker-entrypoint.sh."""
    before = query(cluster, "SELECT count(*) FROM steps", "keeper", "shop")
    docker("restart", cluster.id)
    ready(cluster)
    assert query(cluster, "SELECT count(*) FROM steps", "keeper", "shop") == before


def test_stops_fast_with_a_client_connected(cluster: Container) -> None:
    """SIGINT is the fast shutdown; SIGTERM would wait for the client. Red when: STOPSIGNAL SIGTERM."""
    cluster.exec("psql", "-U", "keeper", "-d", "shop", "-c", "SELECT pg_sleep(600)", options=("--detach",))
    cluster.wait_for(
        "the client",
        lambda: (
            query(
                cluster,
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'",
                "keeper",
                "shop",
            )
            == "1"
        ),
    )
    assert cluster.stop() == 0
    assert "received fast shutdown request" in cluster.logs()


@pytest.mark.parametrize(
    "name", ["POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS"]
)
def test_value_and_file_together_are_refused(postgres_image: str, start: Start, name: str) -> None:
    """Red when: RUN sed -i 's/^    file_env POSTGRES_DB.*//' /usr/local/bin/docker-entrypoint.sh."""
    container = start(
        postgres_image,
        options=("--env=POSTGRES_PASSWORD=x", f"--env={name}=x", f"--env={name}_FILE=/etc/hostname"),
    )
    assert container.wait() == 1
    assert f"both {name} and {name}_FILE are set" in container.logs()


@pytest.mark.parametrize(
    "options", [(), ("--env=POSTGRES_PASSWORD=",), ("--env=POSTGRES_PASSWORD_FILE=/dev/null",)]
)
def test_empty_password_is_refused(postgres_image: str, start: Start, options: tuple[str, ...]) -> None:
    """Red when: RUN sed -i 's/^    require_password$//' /usr/local/bin/docker-entrypoint.sh."""
    container = start(postgres_image, options=options)
    assert container.wait() == 1
    assert "POSTGRES_PASSWORD" in container.logs()


def test_trust_needs_no_password_as_another_user_on_a_read_only_root(
    postgres_image: str, start: Start
) -> None:
    """A user without a name, nothing writable but three tmpfs.

    Red when: RUN rm /usr/lib/*/libnss_wrapper.so.
    """
    options = (
        "--user=12345:12345", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--env=POSTGRES_HOST_AUTH_METHOD=trust", "--tmpfs=/tmp",
        "--tmpfs=/var/run/postgresql:uid=12345,gid=12345",
        f"--tmpfs={data_volume(postgres_image)}:uid=12345,gid=12345,mode=0700",
    )  # fmt: skip
    container = ready(start(postgres_image, options=options))
    assert query(container, "SELECT current_user") == "postgres"
    assert container.exec("stat", "-c", "%u", "/proc/1") == "12345"
    assert container.stop() not in {KILLED}


def test_cluster_can_be_made_ahead(postgres_image: str, volume: str, start: Start) -> None:
    """ "ensure" is content with a cluster that exists, "enforce" is not.

    Red when: RUN ln -sf docker-entrypoint.sh /usr/local/bin/docker-ensure-initdb.sh.
    """
    options = (f"--volume={volume}:{data_volume(postgres_image)}", "--env=POSTGRES_PASSWORD=x")
    assert start(postgres_image, "docker-ensure-initdb.sh", options=options).wait() == 0
    assert start(postgres_image, "docker-ensure-initdb.sh", options=options).wait() == 0
    assert start(postgres_image, "docker-enforce-initdb.sh", options=options).wait() == 1
    container = ready(start(postgres_image, options=options))
    assert "Skipping initialization" in container.logs()


def test_other_commands_make_no_cluster(postgres_image: str, start: Start) -> None:
    """Red when: RUN sed -i 's/ && ! asks_for_information "$@"//' /usr/local/bin/docker-entrypoint.sh."""
    assert start(postgres_image, "--version").wait() == 0
    assert start(postgres_image, "psql", "--version").wait() == 0


def test_data_in_the_old_place_is_refused(postgres_image: str, volume: str, start: Start) -> None:
    """From 18 on. Red when: RUN sed -i 's/^    refuse_old_layout$//' /usr/local/bin/docker-entrypoint.sh."""
    if int(image_environment(postgres_image)["PG_MAJOR"]) < 18:
        pytest.skip("the data moved in PostgreSQL 18")
    options = (f"--volume={volume}:/var/lib/postgresql/data", "--env=POSTGRES_PASSWORD=x")
    container = start(postgres_image, options=options)
    assert container.wait() == 1
    assert "/var/lib/postgresql/data" in container.logs()
