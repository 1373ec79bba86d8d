"""What ``docker inspect`` shows, and what holds for all of the images."""

from __future__ import annotations

import uuid

from engine_probe import LABEL, docker, image_config, image_environment, run, shell

MEGABYTE = 1_000_000
LIMITS = {
    "python": 135 * MEGABYTE,
    "nginx": 200 * MEGABYTE,
    "postgres": 460 * MEGABYTE,
    "valkey": 160 * MEGABYTE,
}


def kind_of(image: str) -> str:
    return image.rsplit("/", 1)[-1].split(":", 1)[0]


def declared(image: str) -> dict[str, object]:
    config = image_config(image)
    return {
        "entrypoint": config.get("Entrypoint") or [],
        "command": config.get("Cmd"),
        "ports": sorted(config.get("ExposedPorts") or {}),
        "volumes": sorted(config.get("Volumes") or {}),
        "stop": config.get("StopSignal") or "SIGTERM",
        "user": config.get("User") or "root",
        "workdir": config.get("WorkingDir") or "/",
        "healthcheck": config.get("Healthcheck"),
    }


def test_python_declares_the_official_configuration(python_image: str) -> None:
    """Red when: CMD ["python"], USER nobody, WORKDIR /srv, ENTRYPOINT ["python3"]."""
    assert declared(python_image) == {
        "entrypoint": [],
        "command": ["python3"],
        "ports": [],
        "volumes": [],
        "stop": "SIGTERM",
        "user": "root",
        "workdir": "/",
        "healthcheck": None,
    }


def test_python_environment(python_image: str) -> None:
    """LANG is set up to 3.12 only. Red when: ENV LANG=C.UTF-8."""
    environment = image_environment(python_image)
    assert environment["PATH"].startswith("/usr/local/bin:")
    assert "LANG" not in environment
    assert environment["PYTHON_VERSION"] == run(
        python_image, "python3", "-c", "import platform; print(platform.python_version())"
    )


def test_postgres_declares_the_official_configuration(postgres_image: str) -> None:
    """Red when: STOPSIGNAL SIGTERM, EXPOSE 5433, VOLUME /data."""
    major = int(image_environment(postgres_image)["PG_MAJOR"])
    assert declared(postgres_image) == {
        "entrypoint": ["docker-entrypoint.sh"],
        "command": ["postgres"],
        "ports": ["5432/tcp"],
        "volumes": ["/var/lib/postgresql" + ("/data" if major < 18 else "")],
        "stop": "SIGINT",
        "user": "root",
        "workdir": "/",
        "healthcheck": None,
    }


def test_postgres_environment(postgres_image: str) -> None:
    """Red when: ENV LANG=C, ENV PGDATA=/data, ENV PG_VERSION=1."""
    environment = image_environment(postgres_image)
    major = environment["PG_MAJOR"]
    assert environment["PATH"].endswith(f":/usr/lib/postgresql/{major}/bin")
    assert environment["LANG"] == "en_US.utf8"
    assert environment["PGDATA"] == (
        "/var/lib/postgresql/data" if int(major) < 18 else f"/var/lib/postgresql/{major}/docker"
    )
    assert environment["GOSU_VERSION"]
    version = run(postgres_image, "postgres", "--version")
    assert f"(PostgreSQL) {environment['PG_VERSION'].split('-', 1)[0]} " in f"{version} "


def test_nginx_declares_the_official_configuration(nginx_image: str) -> None:
    """Red when: STOPSIGNAL SIGTERM, EXPOSE 8080, CMD ["nginx"]."""
    assert declared(nginx_image) == {
        "entrypoint": ["/docker-entrypoint.sh"],
        "command": ["nginx", "-g", "daemon off;"],
        "ports": ["80/tcp"],
        "volumes": [],
        "stop": "SIGQUIT",
        "user": "root",
        "workdir": "/",
        "healthcheck": None,
    }


def test_nginx_environment(nginx_image: str) -> None:
    """Red when: ENV NGINX_VERSION=1.0."""
    version = image_environment(nginx_image)["NGINX_VERSION"]
    assert shell(nginx_image, "nginx -v 2>&1").endswith(f"nginx/{version}")


def test_image_is_no_larger_than_the_official_one(image: str) -> None:
    """Red when: RUN head --bytes=120M /dev/urandom > /big."""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image).stdout)
    assert size <= LIMITS[kind_of(image)]


def test_image_is_debian_and_slim(image: str) -> None:
    """Documentation stays out, licences stay in, nothing that apt downloaded is left.

    Red when: RUN rm /usr/share/doc/apt/copyright; RUN touch /var/cache/apt/archives/x.deb;
    RUN mkdir -p /usr/share/man/man1 && touch /usr/share/man/man1/x.1.
    """
    assert run(image, "sh", "-c", '. /etc/os-release; echo "$ID"') == "debian"
    assert shell(image, "test -s /usr/share/doc/apt/copyright; echo licensed") == "licensed"
    leftovers = shell(
        image,
        # The signed names that `apt-get dist-clean` keeps are no package lists.
        "find /var/lib/apt/lists /var/cache/apt /usr/share/man -type f ! -name lock ! -path '*/auxfiles/*'"
        " ! -name '*InRelease' ! -name '*_Release' ! -name '*_Release.gpg'",
    )
    assert leftovers == ""


def test_no_package_may_start_a_service(image: str) -> None:
    """Red when: RUN rm /usr/sbin/policy-rc.d."""
    assert shell(image, "/usr/sbin/policy-rc.d cron start || echo $?") == "101"


def test_packages_can_be_installed_on_top(image: str) -> None:
    """Needs the package mirror; what was downloaded must not stay in the layer.

    Red when: RUN rm -r /etc/apt/sources.list.d; RUN rm /etc/apt/apt.conf.d/docker-clean.
    """
    tag = f"slipway-conformance:{uuid.uuid4().hex[:12]}"
    dockerfile = f"""
        FROM {image}
        USER root
        RUN apt-get update \\
         && apt-get install --yes --no-install-recommends netcat-openbsd \\
         && find /var/cache/apt -type f -size +0 > /tmp/kept.log \\
         && rm -rf /var/lib/apt/lists/*
    """
    docker("build", "--label", LABEL, "--tag", tag, "-", stdin=dockerfile)
    assert run(tag, "sh", "-c", "command -v nc").endswith("/nc")
    assert run(tag, "cat", "/tmp/kept.log") == ""
