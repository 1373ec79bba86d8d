"""Closed for maintenance: who gets the page, who passes, and that the switch costs no request."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest
from world import KIT, LIVE, Answer, Nginx, World, docker, eventually, exchange

MAINTENANCE = f"{LIVE}/bin/maintenance"
PASSES = "198.51.100.7"
STRANGER = "203.0.113.9"
MESSAGE = 'Back at 14:00, "really" <soon> & with \\ new shelves.'


def on(nginx: Nginx, seconds: int = 600, message: str = MESSAGE) -> None:
    nginx.exec(MAINTENANCE, "on", str(seconds), message)


def off(nginx: Nginx) -> None:
    nginx.exec(MAINTENANCE, "off")


def serving(world: World, **environment: str) -> Nginx:
    """nginx with an application behind it, open."""
    world.start_stub()
    nginx = world.start_nginx(**environment)
    world.wait_for_application(nginx)
    return nginx


def statuses(nginx: Nginx, path: str = "/echo", **headers: str) -> set[int]:
    """The statuses of enough requests for every worker to have had one."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return {nginx.request(path, headers=given).status for _ in range(20)}


def own_templates(folder: Path, files: dict[str, str]) -> Path:
    """A copy of the kit's templates with more files in it."""
    copy = folder / "templates"
    shutil.copytree(KIT / "nginx" / "templates", copy)
    for name, text in files.items():
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(text)
    return copy


def test_everybody_gets_the_page_until_it_is_over(world: World) -> None:
    """Red when maintenance.conf is not included, needs a reload, or refuses its own page too."""
    nginx = serving(world)
    assert nginx.exec(MAINTENANCE, "status") == "off"
    on(nginx)
    answer = nginx.request("/echo")
    assert answer.status == 503
    assert answer.header("Retry-After") == "600"
    assert answer.header("Cache-Control") == "no-store"
    assert answer.header("Content-Type") == "text/html; charset=utf-8"
    page = answer.body.decode()
    assert "<h1>Closed for maintenance</h1>" in page
    assert 'Back at 14:00, "really" &lt;soon&gt; &amp; with \\ new shelves.' in page
    assert str(answer.header("X-Request-ID")) in page
    assert "<!--#" not in page and "src=" not in page and "prefers-color-scheme: dark" in page
    assert statuses(nginx) == statuses(nginx, "/media/a.png") == statuses(nginx, "/.env") == {503}
    assert nginx.request("/echo", "POST", body=b"x" * 100_000).status == 503
    off(nginx)
    assert statuses(nginx) == {200}


def test_who_asks_for_json_gets_it(world: World) -> None:
    """Red when the message is not escaped for JSON, or the page is always HTML."""
    nginx = serving(world)
    on(nginx)
    answer = nginx.request("/echo", headers={"Accept": "application/json"})
    assert (answer.status, answer.header("Retry-After")) == (503, "600")
    assert answer.header("Content-Type") == "application/json"
    assert answer.json["error"] == {
        "status": 503,
        "title": "Closed for maintenance",
        "detail": MESSAGE,
        "request_id": answer.header("X-Request-ID"),
    }


def test_probes_and_static_files_pass(world: World) -> None:
    """Red without the maps of maintenance.conf.template: a balancer would take the machine out."""
    (world.folder / "static" / "a.css").write_text("a {}")
    nginx = serving(world, NGINX_HEALTH_READY_PATH="/up?database=1")
    on(nginx)
    for path in ("/healthz/ready", "/healthz/live", "/up?database=1"):
        assert nginx.request(path).json["path"] == path
    assert nginx.request("/static/a.css").body == b"a {}"
    assert nginx.exec("curl", "--fail", "--silent", "http://127.0.0.1:8081/healthz") == "ok"
    for path in ("/up", "/up?database=2", "/healthz", "/static", "/x/static/a.css", "/static/../echo"):
        assert nginx.request(path).status == 503, path


def test_the_allow_list_passes_by_the_real_address(world: World) -> None:
    """Red with `geo $realip_remote_addr`, or when only the first network of the list counts."""
    nginx = serving(
        world,
        NGINX_TRUSTED_PROXY=world.subnet(),
        NGINX_MAINTENANCE_ALLOW=f"10.255.0.0/24 {PASSES}/32 2001:db8::/64",
    )
    on(nginx)
    assert statuses(nginx, X_Forwarded_For=PASSES) == {200}
    assert statuses(nginx, X_Forwarded_For="2001:db8::5") == {200}
    assert statuses(nginx, X_Forwarded_For=STRANGER) == {503}
    assert statuses(nginx, X_Forwarded_For=f"{PASSES}, {STRANGER}") == {503}


def test_nobody_can_claim_to_be_on_the_allow_list(world: World) -> None:
    """Red when a header of anybody's is believed."""
    nginx = serving(world, NGINX_MAINTENANCE_ALLOW=f"{PASSES}/32")
    on(nginx)
    assert statuses(nginx, X_Forwarded_For=PASSES, X_Real_IP=PASSES) == {503}


@pytest.mark.parametrize("allow", ["", "127.0.0.1/32"])
def test_an_allow_list_may_be_empty(world: World, allow: str) -> None:
    """Red when nginx does not start without a network, or takes the host for itself."""
    nginx = serving(world, NGINX_MAINTENANCE_ALLOW=allow)
    on(nginx)
    assert statuses(nginx) == {503}


def test_a_request_in_flight_is_finished_and_open_connections_stay(world: World) -> None:
    """Red when the switch restarts nginx: the slow request would be cut, the connections closed."""
    stub = world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    workers = nginx.workers()
    connections = [nginx.connect() for _ in range(8)]
    for connection in connections:
        assert exchange(connection, "/echo").status == 200
        connection.auto_open = 0  # a new connection would hide the loss
    answers: list[Answer] = []
    visitor = threading.Thread(target=lambda: answers.append(nginx.request("/slow?seconds=3")))
    visitor.start()
    eventually("the request has reached the application", lambda: stub.seen()["slow"])
    on(nginx)
    for connection in connections:
        assert exchange(connection, "/echo", "POST", body=b"x").status == 503
    assert visitor.is_alive(), "the slow request was to be in flight during the switch"
    visitor.join()
    assert [answer.status for answer in answers] == [200]
    off(nginx)
    for connection in connections:
        assert exchange(connection, "/echo", "POST", body=b"x").status == 200
        connection.close()
    assert nginx.workers() == workers


def test_an_open_websocket_stays_and_a_new_one_is_refused(world: World) -> None:
    """Red when the switch replaces the workers: the socket would be cut after NGINX_PROXY_TIMEOUT."""
    nginx = serving(world, NGINX_PROXY_TIMEOUT="2s")
    upgrade = b"GET /upgrade HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as ws:
        ws.sendall(upgrade)
        assert ws.recv(4096).startswith(b"HTTP/1.1 101")
        on(nginx)
        # Silence would end it too, so it talks for longer than old workers may live.
        end = time.monotonic() + 3
        while time.monotonic() < end:
            ws.sendall(b"still here")
            assert ws.recv(4096) == b"still here"
            time.sleep(0.1)
    with socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as ws:
        ws.sendall(upgrade)
        assert ws.recv(4096).startswith(b"HTTP/1.1 503")


def test_a_file_the_application_hands_over_late_is_still_sent(world: World) -> None:
    """Red when maintenance-decision.conf decides again at X-Accel-Redirect (`volatile` in its first map)."""
    world.templates = own_templates(
        world.folder,
        {
            "site.d/private.conf.template": "location ^~ /private/ { internal; alias /srv/static/; }\n",
        },
    )
    (world.folder / "static" / "report.txt").write_text("the report")
    stub = world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    answers: list[Answer] = []
    path = "/slow?seconds=3&hand_over=/private/report.txt"
    visitor = threading.Thread(target=lambda: answers.append(nginx.request(path)))
    visitor.start()
    eventually("the request has reached the application", lambda: stub.seen()["slow"])
    on(nginx)
    assert nginx.request("/echo").status == 503
    assert visitor.is_alive(), "the request was to be in flight during the switch"
    visitor.join()
    assert [(answer.status, answer.body) for answer in answers] == [(200, b"the report")]


def test_a_cache_of_open_files_does_not_delay_it(world: World) -> None:
    """Red without `open_file_cache off` in maintenance.conf: off would count a minute later."""
    text = "open_file_cache max=1000 inactive=60s;\nopen_file_cache_valid 60s;\nopen_file_cache_errors on;\n"
    world.templates = own_templates(world.folder, {"file-cache.conf.template": text})
    nginx = serving(world)
    for _ in range(2):
        on(nginx)
        assert statuses(nginx) == {503}
        off(nginx)
        assert statuses(nginx) == {200}


def test_it_is_closed_again_after_a_restart_and_in_a_new_container(world: World) -> None:
    """Red when the state lies in a tmpfs (/tmp, conf.d) instead of the volume."""
    nginx = serving(world)
    on(nginx)
    said = nginx.exec(MAINTENANCE, "status")
    docker("restart", nginx.name)
    nginx.port = int(docker("port", nginx.name, "8080/tcp").rsplit(":", 1)[1])
    eventually("nginx answers again", lambda: nginx.request("/echo").status)
    assert statuses(nginx) == {503}
    nginx.remove()
    another = world.start_nginx()
    assert statuses(another) == {503}
    assert another.exec(MAINTENANCE, "status") == said
    assert another.request("/echo").header("Retry-After") == "600"


def test_on_and_off_can_be_said_again(world: World) -> None:
    """Red when a second `on` starts the clock anew, or leaves the first one's folder behind."""
    nginx = serving(world)
    off(nginx)
    on(nginx, 600)
    word, since, seconds = nginx.exec(MAINTENANCE, "status").split()
    assert (word, seconds) == ("on", "600")
    # The clock has whole seconds.
    eventually("the next second", lambda: nginx.exec("date", "-u", "+%Y-%m-%dT%H:%M:%SZ") > since)
    on(nginx, 60, "Nearly done.")
    assert nginx.exec(MAINTENANCE, "status").split() == ["on", since, "60"]
    answer = nginx.request("/echo", headers={"Accept": "application/json"})
    assert (answer.header("Retry-After"), answer.json["error"]["detail"]) == ("60", "Nearly done.")
    on(nginx, 30)
    state = world.folder / "state"
    kept = sorted(path.name for path in state.iterdir())
    assert kept == sorted([f"{since}.30", f"{since}.60", "maintenance"])
    off(nginx)
    off(nginx)
    assert list(state.iterdir()) == []
    assert nginx.exec(MAINTENANCE, "status") == "off"


def test_no_visitor_notices_the_switching(world: World) -> None:
    """Red when `on` removes the link before it sets it, or the folder that requests just read from."""
    nginx = serving(world)
    on(nginx)
    wrong: list[str] = []
    over = threading.Event()

    def visit() -> None:
        connection = nginx.connect()
        while not over.is_set():
            try:
                answer = exchange(connection, "/echo", headers={"Accept": "application/json"})
                if answer.status != 503 or answer.json["error"]["detail"] not in {MESSAGE, "Nearly done."}:
                    wrong.append(f"{answer.status} {answer.body!r}")
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as broken:
                wrong.append(repr(broken))
                connection = nginx.connect()

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for number in range(10):
        on(nginx, 60 + number, "Nearly done." if number % 2 else MESSAGE)
    over.set()
    for visitor in visitors:
        visitor.join()
    assert wrong == []


def test_the_pages_cannot_be_asked_for(world: World) -> None:
    """Red when a location of maintenance.conf is not `internal`."""
    nginx = serving(world)
    on(nginx)
    for path in ("/_maintenance/maintenance.html", "/_maintenance/state/message.html"):
        assert nginx.request(path).status == 404
