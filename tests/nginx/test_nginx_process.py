"""The container itself: who it runs as, how it is configured, stopped, reloaded, probed and logged."""

from __future__ import annotations

import shutil
import socket
import threading

import pytest
from world import KIT, LIVE, Answer, Nginx, World, docker, eventually, exchange


def test_the_configuration_is_clean(nginx: Nginx) -> None:
    """Red with a `user` line, or a hash that nginx calls too small: both are warnings."""
    said = nginx.exec("nginx", "-t", "-p", f"{LIVE}/", "-c", "nginx.conf")
    assert "test is successful" in said
    assert "[" not in said, said


def test_every_process_is_unprivileged(nginx: Nginx) -> None:
    """Red when the container runs as root."""
    uids = {row.split()[0] for row in docker("top", nginx.name, "-eo", "uid,pid").splitlines()[1:]}
    assert uids == {"101"}
    capabilities = nginx.exec("sh", "-c", "grep -h CapEff /proc/1/status")
    assert capabilities.split()[1].strip("0") == ""


@pytest.mark.parametrize("path", ["/healthz", "/stub_status", "/configuration"])
def test_the_status_server_answers_its_own_container_only(shared: World, nginx: Nginx, path: str) -> None:
    """Red with `listen 8081` on all addresses, or one of its locations in another server."""
    inside = nginx.exec("curl", "--fail", "--silent", f"http://127.0.0.1:8081{path}")
    assert inside.startswith(("ok", "Active connections:", "dev "))
    assert "refused" in shared.start_stub("neighbour").fetch(f"http://{nginx.name}:8081{path}")
    for path_of_its_own in ("/stub_status", "/configuration"):
        answer = nginx.request(path_of_its_own)
        assert answer.json["path"] == path_of_its_own, "on 8080 the path is the application's"


def test_probes_are_not_logged(nginx: Nginx) -> None:
    """Red without `access_log off` in status.conf, or without the map in log-formats.conf."""
    nginx.exec("curl", "--silent", "http://127.0.0.1:8081/healthz")
    nginx.request("/healthz/ready")
    nginx.request("/echo?after-the-probes")
    nginx.logged(lambda line: line["uri"] == "/echo?after-the-probes")
    assert not [line for line in nginx.access_log() if line["uri"].startswith("/healthz")]


def test_the_log_says_what_happened(nginx: Nginx) -> None:
    """Red when a field is missing, or a client's quotes break out of the JSON."""
    agent = 'evil","status":200,"x":"\\'
    nginx.request("/echo?the-log", headers={"User-Agent": agent, "Referer": "http://localhost/from"})
    line = nginx.logged(lambda line: line["uri"] == "/echo?the-log")
    assert line["user_agent"] == agent
    assert line["referer"] == "http://localhost/from"
    assert (line["host"], line["method"], line["status"]) == ("localhost", "GET", 200)
    assert line["upstream_status"] == "200"
    assert line["upstream_addr"].endswith(":8000")
    assert float(line["upstream_response_time"]) >= 0
    assert line["request_time"] >= 0
    assert line["bytes_sent"] > 0
    assert line["remote_addr"] == line["peer_addr"]


@pytest.mark.parametrize(
    "request_text",
    [
        'GET /"quoted\\ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /without-a-version\r\n",
        "nonsense\r\n\r\n",
    ],
)
def test_the_log_stays_json_whatever_arrives(nginx: Nginx, request_text: str) -> None:
    """Red with escape=none."""
    before = len(nginx.access_log())
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as connection:
        connection.sendall(request_text.encode())
        while connection.recv(65536):
            pass
    eventually("the request is logged", lambda: len(nginx.access_log()) > before)


def test_the_log_can_be_text_and_names_the_real_client(behind_balancer: Nginx) -> None:
    """Red when NGINX_LOG_FORMAT or the balancer's X-Forwarded-For is ignored."""
    answer = behind_balancer.request("/echo?as-text", headers={"X-Forwarded-For": "198.51.100.77"})
    line = eventually(
        "the request is logged",
        lambda: next((line for line in behind_balancer.logs() if "as-text" in line), None),
    )
    assert line.startswith("198.51.100.77 [")
    assert '"GET /echo?as-text HTTP/1.1" 200 ' in line
    assert f"id={answer.header('X-Request-ID')}" in line


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("NGINX_LOG_FORMAT", "xml", 'unknown log format "xml"'),
        ("NGINX_PROXY_TIMEOUT", "soon", '"worker_shutdown_timeout" directive invalid value'),
        ("NGINX_RESOLVER", "", 'host not found in resolver "${nginx_resolver}"'),
    ],
)
def test_a_wrong_or_missing_variable_stops_the_start(
    world: World, variable: str, value: str, said: str
) -> None:
    """Red when nginx starts all the same, with a stock page or half a configuration."""
    nginx = world.run_nginx(**{variable: value})
    eventually("nginx gives up", lambda: nginx.inspect("{{.State.Status}}") == "exited")
    assert nginx.inspect("{{.State.ExitCode}}") != "0"
    assert said in "\n".join(nginx.logs()).lower()


def test_the_log_loses_nothing(world: World) -> None:
    """Lines of the last second wait in the workers. Red with `docker kill` in place of the stop, and, since a
    line then waits for others, without `flush` in access-log.conf.
    """
    world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    nginx.request("/echo?alone")
    nginx.logged(lambda line: line["uri"] == "/echo?alone")
    asked = {f"/echo?line-{number}" for number in range(40)}
    for uri in asked:
        nginx.request(uri)
    docker("stop", nginx.name)
    assert asked <= {line["uri"] for line in nginx.access_log()}


def test_a_stop_lets_a_request_in_flight_finish(world: World) -> None:
    """Red with SIGTERM, nginx's fast stop."""
    stub = world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    answers: list[Answer] = []
    visitor = threading.Thread(target=lambda: answers.append(nginx.request("/slow?seconds=3")))
    visitor.start()
    eventually("the request has reached the application", lambda: stub.seen()["slow"])
    docker("kill", "--signal", "QUIT", nginx.name)
    visitor.join()
    assert [answer.status for answer in answers] == [200]
    eventually("nginx ends", lambda: nginx.inspect("{{.State.Status}} {{.State.ExitCode}}") == "exited 0")


def test_a_reload_does_not_cut_idle_connections(world: World) -> None:
    """Red without keepalive_min_timeout: the old workers close every idle connection at once."""
    world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    connections = [nginx.connect() for _ in range(8)]
    for connection in connections:
        assert exchange(connection, "/echo").status == 200
    nginx.front("rest")
    for connection in connections:
        connection.auto_open = 0  # a new connection would hide the loss
        assert exchange(connection, "/echo", "POST", body=b"x").status == 200
        connection.close()


def test_directives_of_the_projects_own_are_part_of_the_site(world: World) -> None:
    """Red when site.conf does not include site.d/, nginx.conf not http.d/, or publishing leaves one out."""
    world.own = world.folder / "own"
    for name, text in {
        "http.d/words.conf": 'map $arg_word $spoken {\n    default "nothing";\n    ~^[a-z]+$ $arg_word;\n}\n',
        "site.d/say.conf": 'location = /say {\n    return 200 "$spoken";\n}\n',
    }.items():
        (world.own / name).parent.mkdir(parents=True)
        (world.own / name).write_text(text)
    world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    assert nginx.request("/say?word=hello").body == b"hello"
    assert nginx.request("/say?word=1").body == b"nothing"
    assert nginx.request("/echo").status == 200


def test_a_template_of_the_projects_own_adds_a_location(world: World) -> None:
    """Red when site.conf does not include conf.d/site.d/."""
    world.templates = world.folder / "templates"
    shutil.copytree(KIT / "nginx" / "templates", world.templates)
    (world.templates / "site.d").mkdir()
    (world.templates / "site.d" / "limits.conf.template").write_text(
        "location /import/ {\n    client_max_body_size 20m;\n"
        "    include snippets/proxy.conf;\n    proxy_pass http://$web_upstream;\n}\n"
    )
    world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    body = bytes(11 * 2**20)
    assert nginx.request("/import/", "POST", body=body).upstream_headers["host"] == f"localhost:{nginx.port}"
    assert nginx.request("/", "POST", body=body).status == 413
