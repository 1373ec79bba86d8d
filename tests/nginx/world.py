"""What the nginx tests run against: real containers on a network of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parents[2]
NGINX_IMAGE = os.environ.get("NGINX_IMAGE", "slipway/nginx:1.30-trixie")
PYTHON_IMAGE = os.environ.get("PYTHON_IMAGE", "slipway/python:3.13-slim-trixie")
LABEL = "io.slipway.test=nginx"
DEADLINE = 20.0
LIVE = "/srv/nginx/live"
# What compose/prod.yaml has the base image run, after what its one-shot does where there is nothing yet.
_NGINX = f"/docker-entrypoint.sh nginx -p {LIVE}/ -c nginx.conf -g 'daemon off;'"
_START = f"[ -e {LIVE} ] || publish-configuration && exec {_NGINX}"

# What compose/prod.yaml gives by default.
ENVIRONMENT = {
    "NGINX_ENTRYPOINT_QUIET_LOGS": "1",
    "NGINX_ENVSUBST_FILTER": "^NGINX_",
    "NGINX_RELEASE": "dev",
    "NGINX_SERVER_NAMES": "localhost 127.0.0.1",
    "NGINX_CLIENT_MAX_BODY_SIZE": "10m",
    "NGINX_LARGE_CLIENT_HEADER_BUFFERS": "4 16k",
    "NGINX_PROXY_TIMEOUT": "30s",
    "NGINX_LOGIN_RATE": "10r/m",
    "NGINX_LOGIN_PATHS": "^/(admin/login|accounts/login|login)/",
    "NGINX_TRUSTED_PROXY": "127.0.0.1/32",
    "NGINX_LOG_FORMAT": "json",
    "NGINX_RESOLVER": "127.0.0.11",
    "NGINX_MAINTENANCE_ALLOW": "127.0.0.1/32",
    "NGINX_HEALTH_READY_PATH": "/healthz/ready",
    "NGINX_STATIC_URL": "/static/",
    "NGINX_MEDIA_URL": "/media/",
    "NGINX_HTTPS_PORT": "8443",
    "NGINX_HSTS_SECONDS": "",
}


def docker(*args: str, check: bool = True) -> str:
    """Run a docker command; return its standard output and error, stripped."""
    done = subprocess.run(
        ["docker", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(args)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


def eventually(what: str, probe: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Poll ``probe`` until it returns something true, and return that; fail after ``deadline`` seconds."""
    end = time.monotonic() + deadline
    last: Any = None
    while time.monotonic() < end:
        try:
            last = probe()
        # ValueError: an error page where JSON is waited for.
        except (OSError, http.client.HTTPException, ValueError) as error:
            last = error
        else:
            if last:
                return last
        time.sleep(0.05)
    raise AssertionError(f"not within {deadline:g} s: {what}; last: {last!r}")


@dataclass(frozen=True)
class Answer:
    """A response: status, header pairs as sent (so that doubled ones show), body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header, or None; a doubled header fails the test."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} sent {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def upstream_headers(self) -> dict[str, str]:
        """The headers that reached the application; a doubled one fails the test."""
        pairs = self.json["headers"]
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"doubled on the way to the application: {pairs}"
        return dict(pairs)


def exchange(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """One request on an open connection, headers exactly as given (plus Host, if not given)."""
    given = dict(headers or {})
    host = given.pop("Host", f"localhost:{connection.port}")
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    for name, value in given.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    if body is not None:
        # Refused before it was all sent: the answer says why.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.send(body)
    response = connection.getresponse()
    return Answer(response.status, response.getheaders(), response.read())


@dataclass
class Container:
    """A running container."""

    name: str

    def exec(self, *command: str, check: bool = True) -> str:
        return docker("exec", self.name, *command, check=check)

    def logs(self) -> list[str]:
        return docker("logs", self.name).splitlines()

    def inspect(self, template: str) -> str:
        return docker("inspect", "--format", template, self.name)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name)


@dataclass
class Stub(Container):
    """A running stand-in for the application."""

    def fetch(self, url: str, **headers: str) -> str:
        """GET ``url`` from inside this container; the body, or the error's name."""
        program = (
            "import json, sys, urllib.request as r\n"
            "request = r.Request(sys.argv[1], headers=json.loads(sys.argv[2]))\n"
            "try: print(r.urlopen(request, timeout=3).read().decode())\n"
            "except OSError as e: print(repr(e))"
        )
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.exec("python3", "-c", program, url, json.dumps(given))

    def seen(self) -> dict[str, int]:
        """How many requests /drop and /slow have received."""
        counts: dict[str, int] = json.loads(self.fetch("http://127.0.0.1:8000/count"))
        return counts

    def address(self) -> str:
        return self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")

    def hostname(self) -> str:
        return self.inspect("{{.Config.Hostname}}")


@dataclass
class Nginx(Container):
    """A running nginx, reachable from the host."""

    port: int = 0

    def connect(self, timeout: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        connection = self.connect()
        try:
            return exchange(connection, path, method, headers, body)
        finally:
            connection.close()

    def access_log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logs() if line.startswith('{"time"')]

    def logged(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The access log's first ``wanted`` line, which the engine may take a moment to show."""
        line: dict[str, Any] = eventually(
            "the request is logged", lambda: next(filter(wanted, self.access_log()), None)
        )
        return line

    def workers(self) -> set[str]:
        """The process ids (as the host counts) of the workers that take new connections."""
        rows = docker("top", self.name, "-eo", "pid,args").splitlines()[1:]
        return {row.split()[0] for row in rows if row.rstrip().endswith("nginx: worker process")}

    def front(self, *arguments: str, check: bool = True) -> str:
        """What ``docker/nginx/front`` says."""
        return self.exec(f"{LIVE}/bin/front", *arguments, check=check)

    def publish(self, **environment: str) -> str:
        """Publish a configuration with other variables; nginx is not told."""
        variables = (arg for item in environment.items() for arg in ("--env", "=".join(item)))
        return docker("exec", *variables, self.name, "publish-configuration")


@dataclass
class World:
    """A network of its own, with folders for static and media files; nothing of it survives ``destroy``."""

    folder: Path
    templates: Path = KIT / "nginx" / "templates"
    own: Path = KIT / "nginx"
    """Where http.d and site.d are."""
    name: str = field(default_factory=lambda: f"slipway-nginx-{uuid.uuid4().hex[:8]}")
    serial: int = 0
    ipv6: bool = False
    """Whether its network has IPv6 too, in ``ipv6_subnet``."""
    ipv6_subnet: str = field(
        default_factory=lambda: f"fd{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:4]}:1::/64"
    )

    def __post_init__(self) -> None:
        for sub in ("static", "media"):
            (self.folder / sub).mkdir()
        self._writable("state")
        self.folder.chmod(0o755)
        flags = ("--ipv6", "--subnet", self.ipv6_subnet) if self.ipv6 else ()
        labels = ("--label", LABEL, "--label", f"world={self.name}")
        docker("network", "create", *flags, *labels, self.name)

    def destroy(self) -> None:
        ids = docker("ps", "--all", "--quiet", "--filter", f"label=world={self.name}").split()
        if ids:
            docker("rm", "--force", "--volumes", *ids)
        docker("network", "rm", self.name)

    def _writable(self, name: str) -> Path:
        """A folder that nginx writes to as 101, whoever runs the test."""
        made = self.folder / name
        made.mkdir(exist_ok=True)
        made.chmod(0o777)
        return made

    def subnet(self) -> str:
        return docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", self.name)

    def _run(self, kind: str, *args: str) -> str:
        self.serial += 1
        name = f"{self.name}-{kind}-{self.serial}"
        labels = ("--label", LABEL, "--label", f"world={self.name}")
        docker("run", "--detach", "--name", name, "--network", self.name, *labels, *args)
        return name

    def start_stub(self, alias: str = "web-dev", port: int = 8000) -> Stub:
        """Start an application that answers to the network alias ``alias`` on ``port``."""
        return Stub(
            self._run(
                "stub", "--network-alias", alias, "--init", "--env", f"PORT={port}",
                "--volume", f"{Path(__file__).with_name('stub.py')}:/stub.py:ro",
                "--entrypoint", "python3", PYTHON_IMAGE, "/stub.py",
            )
        )  # fmt: skip

    def start_server(self, target: str, packages: Path) -> Container:
        """Start gunicorn as the image runs it, serving ``target``; ``packages`` has both."""
        command = 'exec python3 -m gunicorn --config /opt/slipway/gunicorn.conf.py "$SERVER_TARGET"'
        return Container(
            self._run(
                "server", "--network-alias", "web-dev", "--init", "--workdir", "/packages",
                "--env", "PYTHONPATH=/packages", "--env", f"SERVER_TARGET={target}", "--env", "WEB_WORKERS=1",
                "--volume", f"{packages}:/packages:ro", "--volume", f"{KIT / 'docker'}:/opt/slipway:ro",
                "--entrypoint", "sh", PYTHON_IMAGE, "-c", command,
            )
        )  # fmt: skip

    def start_slow_dns(self) -> Stub:
        """Start a DNS server that takes its time, see slow_dns.py."""
        script = Path(__file__).with_name("slow_dns.py")
        flags = ("--init", "--volume", f"{script}:/slow_dns.py:ro", "--entrypoint", "python3")
        return Stub(self._run("dns", *flags, PYTHON_IMAGE, "/slow_dns.py"))

    def run_nginx(self, *, log_options: tuple[str, ...] = (), **environment: str) -> Nginx:
        """Run nginx as production does: unprivileged, read-only, configured by what is published.

        The one-shot that publishes and nginx are one container here, for speed. An empty value leaves the
        variable out; ``log_options`` are those of Docker's json-file. Does not wait: see ``start_nginx``.
        """
        variables = {**ENVIRONMENT, **environment}
        variables = {name: value for name, value in variables.items() if value or name not in environment}
        scripts = KIT / "docker" / "nginx"
        mounts = {
            scripts / "publish-configuration": "/usr/local/bin/publish-configuration:ro",
            scripts / "listen.envsh": "/opt/nginx/listen.envsh:ro",
            scripts / "mime-types.envsh": "/opt/nginx/mime-types.envsh:ro",
            scripts / "networks.envsh": "/opt/nginx/networks.envsh:ro",
            scripts / "served-paths.envsh": "/opt/nginx/served-paths.envsh:ro",
            scripts / "maintenance": "/opt/nginx/bin/maintenance:ro",
            scripts / "front": "/opt/nginx/bin/front:ro",
            KIT / "nginx" / "mime.types": "/opt/nginx/mime.types:ro",
            KIT / "nginx" / "nginx.conf": "/opt/nginx/nginx.conf:ro",
            KIT / "nginx" / "snippets": "/opt/nginx/snippets:ro",
            KIT / "nginx" / "html": "/opt/nginx/html:ro",
            self.templates: "/opt/nginx/templates:ro",
            self.own / "http.d": "/opt/nginx/http.d:ro",
            self.own / "site.d": "/opt/nginx/site.d:ro",
            self.folder / "static": "/srv/static:ro",
            self.folder / "media": "/srv/media:ro",
            self._writable("state"): "/srv/state",
            self._writable(f"nginx-{self.serial}"): "/srv/nginx",
        }
        name = self._run(
            "nginx", "--user", "101:101", "--read-only", "--cap-drop", "ALL", "--init",
            "--security-opt", "no-new-privileges", "--tmpfs", "/var/cache/nginx:uid=101,gid=101,mode=0755",
            "--tmpfs", "/tmp:mode=1777", "--stop-timeout", "35", "--publish", "127.0.0.1::8080",
            "--log-driver", "json-file", *(arg for option in log_options for arg in ("--log-opt", option)),
            *(arg for item in variables.items() for arg in ("--env", "=".join(item))),
            *(arg for source, target in mounts.items() for arg in ("--volume", f"{source}:{target}")),
            NGINX_IMAGE, "sh", "-c", _START,
        )  # fmt: skip
        return Nginx(name)

    def start_nginx(self, *, log_options: tuple[str, ...] = (), **environment: str) -> Nginx:
        """``run_nginx``, and wait until it answers."""
        nginx = self.run_nginx(log_options=log_options, **environment)
        try:
            nginx.port = int(docker("port", nginx.name, "8080/tcp").rsplit(":", 1)[1])
            eventually("nginx answers", lambda: nginx.request("/static/").status)
        except (AssertionError, ValueError, IndexError) as error:
            raise AssertionError(f"{error}\nlog:\n" + "\n".join(nginx.logs()[-20:])) from error
        return nginx

    def wait_for_application(self, nginx: Nginx) -> None:
        eventually("the application answers through nginx", lambda: nginx.request("/echo").status == 200)
