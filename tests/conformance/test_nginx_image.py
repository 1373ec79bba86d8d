"""What a configuration and a compose file may rely on in the nginx image."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_probe import KILLED, Container, image_environment, mounted, run, shell

Start = Callable[..., Container]

SERVER = "server { listen 8080; location / { return 200 '%s\\n'; } }\n"
OWN_CONFIGURATION = """
pid /tmp/nginx.pid;
events {}
http { include /etc/nginx/mime.types; server { listen 8080; location / { return 200 'own\\n'; } } }
"""


def serving(container: Container, url: str = "http://127.0.0.1/") -> str:
    """Return the answer to ``url`` from inside the container, once there is one."""
    container.wait_for(
        f"an answer from {url}",
        lambda: container.exec("curl", "-fsS", "-o", "/dev/null", url, check=False) == "",
    )
    return container.exec("curl", "-fsS", url)


def folder_with(folder: Path, files: dict[str, str], mode: int = 0o644) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    return folder


def test_service_user(nginx_image: str) -> None:
    """Red when: RUN usermod --uid 102 nginx; RUN usermod --shell /bin/sh nginx."""
    assert run(nginx_image, "id", "nginx") == "uid=101(nginx) gid=101(nginx) groups=101(nginx)"
    entry = run(nginx_image, "getent", "passwd", "nginx").split(":")
    assert entry[5:] == ["/nonexistent", "/bin/false"]


@pytest.mark.parametrize("command", ["nginx", "curl", "envsubst", "cmp", "find", "sha256sum", "xargs"])
def test_command_is_there(nginx_image: str, command: str) -> None:
    """What docker/nginx/ calls. Red when: RUN rm /usr/bin/curl; RUN rm /usr/bin/envsubst."""
    assert run(nginx_image, "sh", "-c", f"command -v {command}").endswith(f"/{command}")


def test_layout(nginx_image: str) -> None:
    """Red when: RUN rm /var/log/nginx/access.log; RUN chmod -x /docker-entrypoint.d/*;
    RUN mkdir /etc/nginx/sites-enabled.
    """
    script = """
        readlink /var/log/nginx/access.log /var/log/nginx/error.log
        find /docker-entrypoint.d -type f -perm 0755 | sort
        ls -d /docker-entrypoint.sh /etc/nginx/nginx.conf /etc/nginx/mime.types \
            /usr/share/nginx/html/index.html /usr/share/nginx/html/50x.html /var/cache/nginx
        ls -d /etc/nginx/sites-enabled /etc/nginx/modules-enabled 2>/dev/null || true
    """
    assert shell(nginx_image, script).split() == [
        "/dev/stdout",
        "/dev/stderr",
        "/docker-entrypoint.d/10-listen-on-ipv6-by-default.sh",
        "/docker-entrypoint.d/15-local-resolvers.envsh",
        "/docker-entrypoint.d/20-envsubst-on-templates.sh",
        "/docker-entrypoint.d/30-tune-worker-processes.sh",
        "/docker-entrypoint.sh",
        "/etc/nginx/mime.types",
        "/etc/nginx/nginx.conf",
        "/usr/share/nginx/html/50x.html",
        "/usr/share/nginx/html/index.html",
        "/var/cache/nginx",
    ]


def test_stock_configuration(nginx_image: str) -> None:
    """Red when: RUN sed -i 's/^user .*//' /etc/nginx/nginx.conf;
    RUN sed -i 's/listen  */listen /' /etc/nginx/conf.d/default.conf.
    """
    effective = run(nginx_image, "nginx", "-T")
    assert re.search(r"^user +nginx;", effective, re.MULTILINE)
    assert re.search(r"^pid +/run/nginx.pid;", effective, re.MULTILINE)
    assert re.search(r"^ +include /etc/nginx/conf.d/\*.conf;", effective, re.MULTILINE)
    assert "    listen       80;\n" in effective
    assert len(re.findall(r"^\s*listen\s", effective, re.MULTILINE)) == 1


def test_serves_the_stock_page_and_stops_gracefully(nginx_image: str, start: Start) -> None:
    """Red when: RUN sed -i 's/^user .*/user root;/' /etc/nginx/nginx.conf; STOPSIGNAL SIGUSR1;
    RUN rm /var/log/nginx/access.log.
    """
    container = start(nginx_image)
    assert "Welcome to nginx!" in serving(container)
    assert "Welcome to nginx!" in container.exec("curl", "-fsS", "http://[::1]/")
    owners = container.exec(
        "sh", "-c", 'stat -c %u $(grep -l "nginx: [w]orker" /proc/[0-9]*/cmdline | xargs dirname)'
    )
    assert set(owners.split()) == {"101"}
    container.wait_for("the access log", lambda: '"GET / HTTP/1.1" 200' in container.logs())
    assert container.stop() == 0


def test_request_in_flight_survives_the_stop_signal(nginx_image: str, tmp_path: Path, start: Start) -> None:
    """Red when: STOPSIGNAL SIGTERM (nginx then drops what it is sending)."""
    folder_with(
        tmp_path, {"slow.conf": "server { listen 8080; root /srv; location / { limit_rate 20k; } }\n"}
    )
    container = start(nginx_image, options=mounted(tmp_path, "/etc/nginx/conf.d"))
    container.exec("sh", "-c", "mkdir -p /srv && head -c 60000 /dev/zero > /srv/slow")
    container.exec(
        "sh", "-c", "curl -fsS http://127.0.0.1:8080/slow -o /srv/got; echo done > /srv/ended",
        options=("--detach",),
    )  # fmt: skip
    container.wait_for(
        "the answer to begin",
        lambda: container.exec("sh", "-c", "test -s /srv/got && echo yes", check=False) == "yes",
    )
    assert container.stop() == 0
    assert '"GET /slow HTTP/1.1" 200 60000' in container.logs()


def test_templates_are_rendered_through_the_filter(nginx_image: str, tmp_path: Path) -> None:
    """Only set variables that match; sub-folders keep their place; other suffixes are left alone.

    Red when: RUN chmod -x /docker-entrypoint.d/20*;
    RUN sed -i 's/ && name ~ filter//' /docker-entrypoint.d/20*.
    """
    folder_with(
        tmp_path,
        {
            "default.conf.template": SERVER % "${APP_NAME} ${OTHER} ${APP_UNSET} $uri",
            "parts/inner.conf.template": "# ${APP_NAME}\n",
            "notes.txt": "${APP_NAME}",
        },
    )
    options = (
        "--env=APP_NAME=guestbook",
        "--env=OTHER=set",
        "--env=uri=evil",
        "--env=NGINX_ENVSUBST_FILTER=^APP_",
    )
    rendered = shell(
        nginx_image,
        "/docker-entrypoint.d/20-envsubst-on-templates.sh >&2;"
        "cd /etc/nginx/conf.d; cat default.conf parts/inner.conf; ls",
        *mounted(tmp_path, "/etc/nginx/templates"),
        *options,
    )
    assert "guestbook ${OTHER} ${APP_UNSET} $uri" in rendered
    assert "# guestbook" in rendered
    assert rendered.splitlines()[-2:] == ["default.conf", "parts"]


def test_without_a_filter_every_set_variable_is_rendered(nginx_image: str, tmp_path: Path) -> None:
    """The official image's trap is kept, so that nobody's filter is missing only there.

    Red when: RUN sed -i 's/name ~ filter/filter != "" \\&\\& name ~ filter/' /docker-entrypoint.d/20*.
    """
    folder_with(tmp_path, {"a.conf.template": "$uri ${host} $args\n"})
    rendered = shell(
        nginx_image,
        "/docker-entrypoint.d/20-envsubst-on-templates.sh >&2; cat /etc/nginx/conf.d/a.conf",
        *mounted(tmp_path, "/etc/nginx/templates"),
        "--env=uri=one", "--env=host=two",
    )  # fmt: skip
    assert rendered == "one two $args"


def test_template_folders_and_suffix_can_be_changed(nginx_image: str, tmp_path: Path) -> None:
    """Red when: RUN sed -i 's/NGINX_ENVSUBST_OUTPUT_DIR/X/' /docker-entrypoint.d/20*."""
    folder_with(tmp_path, {"a.conf.in": "${NAME}\n", "b.conf.template": "no\n"})
    rendered = shell(
        nginx_image,
        "mkdir /out; /docker-entrypoint.d/20-envsubst-on-templates.sh >&2; cd /out; cat a.conf; ls",
        *mounted(tmp_path, "/in"),
        "--env=NAME=rendered",
        "--env=NGINX_ENVSUBST_TEMPLATE_DIR=/in",
        "--env=NGINX_ENVSUBST_TEMPLATE_SUFFIX=.in",
        "--env=NGINX_ENVSUBST_OUTPUT_DIR=/out",
    )
    assert rendered.split() == ["rendered", "a.conf"]


def test_unwritable_output_is_reported_and_nginx_starts(
    nginx_image: str, tmp_path: Path, start: Start
) -> None:
    """Red when: RUN sed -i 's/return 0/exit 1/' /docker-entrypoint.d/20*."""
    folder_with(tmp_path, {"a.conf.template": SERVER % "never"})
    container = start(
        nginx_image,
        options=(
            "--read-only", "--tmpfs=/run", "--tmpfs=/var/cache/nginx",
            *mounted(tmp_path, "/etc/nginx/templates"),
        ),
    )  # fmt: skip
    assert "Welcome to nginx!" in serving(container)
    assert re.search(r"ERROR.*/etc/nginx/conf.d is not writable", container.logs())


def test_local_resolvers(nginx_image: str, tmp_path: Path, start: Start) -> None:
    """Red when: RUN chmod -x /docker-entrypoint.d/15*."""
    folder_with(tmp_path, {"default.conf.template": SERVER % "[${NGINX_LOCAL_RESOLVERS}]"})
    container = start(
        nginx_image,
        options=(
            "--dns=192.0.2.1", "--dns=2001:db8::1", "--env=NGINX_ENTRYPOINT_LOCAL_RESOLVERS=1",
            *mounted(tmp_path, "/etc/nginx/templates"),
        ),
    )  # fmt: skip
    assert serving(container, "http://127.0.0.1:8080/") == "[192.0.2.1 [2001:db8::1]]"


@pytest.mark.parametrize(("switch", "expected"), [("", "auto"), ("1", "1")])
def test_worker_count_follows_the_limit_when_asked(
    nginx_image: str, start: Start, switch: str, expected: str
) -> None:
    """On two CPUs and more. Red when: RUN chmod -x /docker-entrypoint.d/30*."""
    container = start(
        nginx_image, options=("--cpus=1", f"--env=NGINX_ENTRYPOINT_WORKER_PROCESSES_AUTOTUNE={switch}")
    )
    serving(container)
    line = container.exec("grep", "^worker_processes", "/etc/nginx/nginx.conf")
    assert line.split() == ["worker_processes", f"{expected};"]


def test_drop_ins(nginx_image: str, tmp_path: Path, start: Start) -> None:
    """In name order; sourced exports reach later drop-ins and not nginx; the rest is named and left.

    Red when: RUN sed -i 's/run_drop_ins() (/run_drop_ins() {/; s/^)$/}/' /docker-entrypoint.sh;
    RUN sed -i 's/^    run_drop_ins$//' /docker-entrypoint.sh.
    """
    folder_with(
        tmp_path,
        {"40-name.envsh": "export PROBE=sourced\n", "50-show.sh": '#!/bin/sh\necho "probe: $PROBE"\n'},
        mode=0o755,
    )
    folder_with(tmp_path, {"60-plain.sh": "exit 1\n", "70-readme.txt": "text\n"})
    # In nginx's place: nginx itself overwrites the environment that /proc would show.
    final = folder_with(tmp_path / "bin", {"nginx": '#!/bin/sh\necho "final: ${PROBE:-unset}"\n'}, mode=0o755)
    container = start(
        nginx_image,
        "nginx",
        options=(
            *mounted(tmp_path, "/docker-entrypoint.d"),
            *mounted(final / "nginx", "/usr/local/bin/nginx"),
        ),
    )
    assert container.wait() == 0
    assert re.search(r"probe: sourced\n(.*\n)*final: unset", container.logs())
    for name in ("60-plain.sh", "70-readme.txt"):
        assert re.search(rf"[Ii]gnoring /docker-entrypoint.d/{name}", container.logs())


def test_failing_drop_in_stops_the_start(nginx_image: str, tmp_path: Path, start: Start) -> None:
    """Red when: RUN sed -i 's/^set -e$//' /docker-entrypoint.sh."""
    folder_with(tmp_path, {"99-fail.sh": "#!/bin/sh\nexit 3\n"}, mode=0o755)
    assert start(nginx_image, options=mounted(tmp_path, "/docker-entrypoint.d")).wait() == 3


def test_entrypoint_can_be_quiet_and_leaves_other_commands_alone(nginx_image: str, start: Start) -> None:
    """Red when: RUN sed -i 's/QUIET_LOGS/LOUD/' /docker-entrypoint.sh;
    RUN sed -i 's/= nginx /!= x /' /docker-entrypoint.sh.
    """
    quiet = start(nginx_image, "nginx", "-t", options=("--env=NGINX_ENTRYPOINT_QUIET_LOGS=1",))
    assert quiet.wait() == 0
    assert "entrypoint" not in quiet.logs()
    other = start(nginx_image, "echo", "hello")
    assert other.wait() == 0
    assert other.logs() == "hello\n"


def test_own_configuration_as_unprivileged_user_on_a_read_only_root(
    nginx_image: str, tmp_path: Path, start: Start
) -> None:
    """A replaced nginx.conf names no temporary paths: the compiled ones must be in /var/cache/nginx.

    Red when: RUN rm /var/lib/nginx && mkdir /var/lib/nginx.
    """
    configuration = folder_with(tmp_path, {"nginx.conf": OWN_CONFIGURATION}) / "nginx.conf"
    container = start(
        nginx_image,
        options=(
            "--user=101:101", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges",
            "--tmpfs=/tmp", "--tmpfs=/var/cache/nginx:uid=101,gid=101,mode=0755",
            *mounted(configuration, "/etc/nginx/nginx.conf"),
        ),
    )  # fmt: skip
    assert serving(container, "http://127.0.0.1:8080/") == "own"
    assert container.exec("ls", "/var/cache/nginx") != ""
    assert container.stop() not in {KILLED}


def test_features_the_kit_uses(nginx_image: str, tmp_path: Path) -> None:
    """Re-resolving upstreams and keepalive_min_timeout (nginx 1.27.4), and modules built in.

    Red when: NGINX_IMAGE is a stand-in of 1.26; the configuration names a module that is not there.
    """
    version = tuple(map(int, image_environment(nginx_image)["NGINX_VERSION"].split(".")[:3]))
    assert version >= (1, 27, 4)
    configuration = """
        events {}
        http {
            resolver 127.0.0.11 valid=5s;
            keepalive_min_timeout 5s;
            set_real_ip_from 10.0.0.0/8;
            limit_req_zone $binary_remote_addr zone=login:1m rate=10r/m;
            upstream web { zone web 64k; server web-nowhere:8000 resolve; keepalive 8; }
            server {
                listen 8080 default_server;
                http2 on;
                location /status { stub_status; }
                location / { gzip_static on; gunzip on; auth_request /status; proxy_pass http://web; }
                location /sub { sub_filter a b; limit_req zone=login; }
            }
            server { listen 8443 ssl; ssl_reject_handshake on; }
        }
    """
    path = folder_with(tmp_path, {"probe.conf": configuration}) / "probe.conf"
    printed = run(
        nginx_image, "nginx", "-t", "-c", "/probe.conf", options=mounted(path, "/probe.conf"), check=False
    )
    assert "test is successful" in printed, printed
