"""Publishing a configuration, and changing releases and replicas while visitors come and go."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from visits import answered_by, visitors
from world import KIT, LIVE, Nginx, Stub, World, docker, eventually

FRONT = f"{LIVE}/bin/front"


def serving(world: World, replicas: int = 1, **environment: str) -> tuple[Nginx, list[Stub]]:
    """nginx at rest on the release `dev`, and the replicas behind it, all of which answer."""
    stubs = [world.start_stub() for _ in range(replicas)]
    nginx = world.start_nginx(**environment)
    await_peers(nginx, stubs)
    return nginx, stubs


def names(stubs: Sequence[Stub]) -> set[str]:
    return {stub.hostname() for stub in stubs}


def peers(nginx: Nginx, requests: int = 20) -> set[str]:
    return set(nginx.front("peers", "/echo", "localhost", str(requests)).split())


def await_peers(nginx: Nginx, stubs: Sequence[Stub]) -> None:
    """What ``slipway.services.front.wait_for_peers`` does."""
    wanted = {stub.address() for stub in stubs}
    eventually("the preview reaches exactly those", lambda: peers(nginx) == wanted)


def drain(nginx: Nginx) -> None:
    eventually("the old workers end", lambda: nginx.front("old-workers") == "0", 60)


def configuration(nginx: Nginx) -> str:
    """What a worker says it has: release, digest, and the mark of the last reload."""
    url = "http://127.0.0.1:8081/configuration"
    return nginx.exec("curl", "--fail", "--silent", "--max-time", "1", url, check=False)


def loaded(nginx: Nginx) -> list[str]:
    """Release and digest."""
    return configuration(nginx).split()[:2]


def live(nginx: Nginx) -> str:
    return nginx.exec("readlink", LIVE)


def exit_code(nginx: Nginx, *command: str, **environment: str) -> tuple[int, str]:
    """A command that may fail, in nginx's container; both its outputs."""
    variables = (arg for item in environment.items() for arg in ("--env", "=".join(item)))
    done = subprocess.run(
        ["docker", "exec", *variables, nginx.name, *command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def rests(nginx: Nginx, release: str = "dev") -> bool:
    return exit_code(nginx, FRONT, "at-rest", release)[0] == 0


@pytest.fixture
def templates(world: World) -> Path:
    """The world's own copy of the kit's templates; what is put there counts at the next publication."""
    world.templates = world.folder / "templates"
    shutil.copytree(KIT / "nginx" / "templates", world.templates)
    (world.templates / "site.d").mkdir()
    return world.templates


# -- another release ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dns", ["quick", "slow"])
def test_a_switch_drops_nothing_and_is_complete(world: World, dns: str) -> None:
    """Red (slow) without `prepare` or the wait for peers; red when `switch` leaves /tmp/front as it was."""
    environment = {} if dns == "quick" else {"NGINX_RESOLVER": world.start_slow_dns().address()}
    nginx, old = serving(world, 2, **environment)
    with visitors(nginx) as visits:
        new = [world.start_stub("web-next"), world.start_stub("web-next")]
        nginx.publish(NGINX_RELEASE="next")
        visits.more()
        nginx.front("prepare", "next")
        await_peers(nginx, new)
        assert set(answered_by(nginx, 12)) <= names(old), "the public is to see nothing of it"
        nginx.front("switch", "next")
        assert set(answered_by(nginx, 12)) == names(new)
        drain(nginx)
        for stub in old:
            stub.remove()
        await_peers(nginx, new)
    assert visits.failed == []
    assert names(new) < set(visits.served)
    assert loaded(nginx)[0] == "next"
    assert rests(nginx, "next")
    assert not rests(nginx, "dev")


def test_when_a_change_is_confirmed_no_earlier_worker_serves(world: World) -> None:
    """Red when `taken_up` asks for the answer alone: nginx starts the new workers before it tells the old,
    so whoever counts those that are shutting down would find none and stop the old containers.
    """
    nginx, _ = serving(world)
    find = "grep -l 'worker proces[s]' /proc/[0-9]*/cmdline | cut -d / -f 3 | xargs"
    workers = nginx.exec("sh", "-c", find)
    before = configuration(nginx)
    with ThreadPoolExecutor() as other:
        nginx.exec("sh", "-c", f"kill -STOP {workers}")  # so that they are late in hearing of it
        try:
            change = other.submit(nginx.front, "rest")
            eventually("the new workers answer", lambda: configuration(nginx) not in (before, ""))
            assert not wait([change], timeout=2).done
        finally:
            nginx.exec("sh", "-c", f"kill -CONT {workers}")
        change.result()


def test_a_release_may_have_any_id(world: World) -> None:
    """Red when the name is changed on its way: upper case, dots and underscores."""
    release = "V1.20_Beta-3"
    first = world.start_stub(f"web-{release}")
    nginx = world.start_nginx(NGINX_RELEASE=release)
    world.wait_for_application(nginx)
    assert set(answered_by(nginx, 4)) == {first.hostname()}
    second = world.start_stub("web-20.b_C")
    nginx.publish(NGINX_RELEASE="20.b_C")
    nginx.front("prepare", "20.b_C")
    await_peers(nginx, [second])
    nginx.front("switch", "20.b_C")
    assert set(answered_by(nginx, 4)) == {second.hostname()}
    assert rests(nginx, "20.b_C")


@pytest.mark.parametrize("verb", ["prepare", "switch"])
def test_a_release_that_was_not_published_changes_nothing(world: World, verb: str) -> None:
    """Red without `require_published`: what `pin` wrote would be gone, or the link lead nowhere."""
    nginx, stubs = serving(world, 2)
    nginx.front("pin", stubs[0].address())
    before = nginx.exec("sh", "-c", "cat /tmp/front/*")
    code, said = exit_code(nginx, FRONT, verb, "nowhere")
    assert (code, "no configuration of nowhere" in said) == (1, True)
    assert nginx.exec("sh", "-c", "cat /tmp/front/*") == before
    assert live(nginx) == "releases/dev"
    assert set(answered_by(nginx, 6)) == {stubs[0].hostname()}


# -- other replicas ----------------------------------------------------------------------------------------


def test_pin_serves_from_the_named_replicas_and_rest_from_all(world: World) -> None:
    """Red when `pin` changes $preview_upstream too, or `rest` leaves /tmp/front as it was."""
    nginx, stubs = serving(world, 3)
    kept = stubs[:2]
    nginx.front("pin", *[stub.address() for stub in kept])
    assert set(answered_by(nginx, 12)) == names(kept)
    assert peers(nginx) == {stub.address() for stub in stubs}
    assert not rests(nginx)
    nginx.front("rest")
    eventually("all of them serve again", lambda: set(answered_by(nginx, 12)) == names(stubs))
    assert rests(nginx)


def test_replicas_leave_without_a_lost_request(world: World) -> None:
    """Red without `pin`, without the wait for the old workers, and (nginx asks the dead) without that for
    the peers.
    """
    nginx, stubs = serving(world, 3, NGINX_RESOLVER=world.start_slow_dns().address())
    kept, leaving = stubs[:1], stubs[1:]
    gone = [stub.address() for stub in leaving]
    with visitors(nginx) as visits, ThreadPoolExecutor() as slow_visitors:
        slow = [slow_visitors.submit(nginx.request, "/slow?seconds=4", "POST", body=b"x") for _ in range(9)]
        eventually("each is asked for something slow", lambda: all(stub.seen()["slow"] for stub in stubs))
        nginx.front("pin", *[stub.address() for stub in kept])
        drain(nginx)
        for stub in leaving:
            stub.remove()
        await_peers(nginx, kept)
        nginx.front("rest")
        nginx.request("/echo?at-rest-again")
        visits.more()
        at_rest = nginx.logged(lambda line: line["uri"] == "/echo?at-rest-again")["time"]
        # Each worker writes its lines when it likes: only what is a second later is surely after it.
        nginx.logged(lambda line: line["time"] > at_rest)
    assert visits.failed == []
    assert {request.result().status for request in slow} == {200}
    asked = {line["upstream_addr"] for line in nginx.access_log() if line["time"] > at_rest}
    assert not [address for address in gone if address in " ".join(asked)]


def test_peers_says_when_nobody_answers(world: World) -> None:
    """Red when a 502 is passed over: one replica of two that is broken would count as enough."""
    nginx, stubs = serving(world)
    stubs[0].remove()
    eventually("nobody answers", lambda: "none" in peers(nginx, 2))


# -- what nginx refuses ------------------------------------------------------------------------------------


def test_a_configuration_that_is_wrong_is_not_published(world: World, templates: Path) -> None:
    """Red when publish-configuration moves the draft before `nginx -t`, or goes on after it."""
    nginx, _ = serving(world)
    before = nginx.exec("sh", "-c", "cd /srv/nginx && ls -ld live releases/* && cat live/identity")
    had = loaded(nginx)
    (templates / "site.d" / "broken.conf.template").write_text("location /x/ { proxy_pas http://y; }\n")
    for release in ("dev", "next"):
        code, said = exit_code(nginx, "publish-configuration", NGINX_RELEASE=release)
        assert code != 0
        assert 'unknown directive "proxy_pas"' in said
        assert "site.d/broken.conf:1" in said
    assert nginx.exec("sh", "-c", "cd /srv/nginx && ls -ld live releases/* && cat live/identity") == before
    assert loaded(nginx) == had
    assert rests(nginx)
    assert nginx.request("/echo").status == 200


def test_a_configuration_that_nginx_cannot_take_over_is_taken_back(world: World, templates: Path) -> None:
    """Red when `switch` trusts `nginx -t`: a zone in shared memory may not change its key at a reload."""
    zone = templates / "zone.conf.template"
    zone.write_text("limit_req_zone $binary_remote_addr zone=mine:1m rate=9r/s;\n")
    nginx, _ = serving(world)
    had = loaded(nginx)
    zone.write_text("limit_req_zone $server_name zone=mine:1m rate=9r/s;\n")
    nginx.publish(NGINX_RELEASE="next")
    with visitors(nginx) as visits:
        code, said = exit_code(nginx, FRONT, "switch", "next")
        assert code == 1
        assert "has not taken up the configuration and serves as before" in said
        assert any('limit_req "mine" uses the "$server_name" key' in line for line in nginx.logs())
        assert live(nginx) == "releases/dev"
        eventually("the old one is loaded", lambda: loaded(nginx) == had)
    assert visits.failed == []
    assert rests(nginx)


# -- publishing --------------------------------------------------------------------------------------------


def test_publishing_the_same_again_changes_nothing(world: World) -> None:
    """Red when the folder is replaced although nothing in it differs: a page could be missing meanwhile."""
    nginx, _ = serving(world)
    before = nginx.exec("sh", "-c", f"stat -c '%n %i %y' {LIVE}/ {LIVE}/*")
    identity = nginx.exec("cat", f"{LIVE}/identity")
    assert nginx.publish().splitlines()[-1] == f"nginx configuration: {identity}"
    assert nginx.exec("sh", "-c", f"stat -c '%n %i %y' {LIVE}/ {LIVE}/*") == before
    assert nginx.exec("ls", "/srv/nginx").split() == ["live", "releases"]
    assert rests(nginx)


def test_another_variable_counts_from_the_switch_on(world: World) -> None:
    """Red when the digest leaves conf.d out, or at-rest looks at the release alone."""
    nginx, _ = serving(world)
    other = {"Host": "shop.example"}
    had = loaded(nginx)
    nginx.publish(NGINX_SERVER_NAMES="localhost 127.0.0.1 shop.example")
    assert nginx.exec("cat", f"{LIVE}/identity").split() != had
    assert not rests(nginx)
    assert loaded(nginx) == had
    assert nginx.request("/echo", headers=other).status == 421
    nginx.front("switch", "dev")
    assert rests(nginx)
    assert nginx.request("/echo", headers=other).status == 200


def test_what_serves_and_what_was_published_last_are_kept(world: World) -> None:
    """Red when forget_others goes, or forgets the one that serves."""
    nginx, _ = serving(world)
    for release in ("second", "third"):
        nginx.publish(NGINX_RELEASE=release)
    assert nginx.exec("ls", "/srv/nginx/releases").split() == ["dev", "third"]


# -- the container -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["prepare", "pin"])
def test_a_restart_is_at_rest_on_the_live_release(world: World, verb: str) -> None:
    """Red when /tmp/front is in the volume: a restarted nginx would keep to replicas that may be gone."""
    nginx, stubs = serving(world, 2)
    nginx.publish(NGINX_RELEASE="next")
    nginx.front(verb, "next" if verb == "prepare" else stubs[0].address())
    assert not rests(nginx)
    docker("restart", nginx.name)
    nginx.port = int(docker("port", nginx.name, "8080/tcp").rsplit(":", 1)[1])
    eventually("nginx answers again", lambda: nginx.request("/echo").status == 200)
    assert rests(nginx)
    await_peers(nginx, stubs)
    assert set(answered_by(nginx, 12)) == names(stubs)


def test_the_preview_answers_its_own_container_only(shared: World, nginx: Nginx) -> None:
    """Red with `listen 8082` on all addresses."""
    head = nginx.exec(
        "curl", "--silent", "--head", "--header", "Host: localhost", "http://127.0.0.1:8082/echo"
    )
    assert "X-Upstream-Addr: " in head
    assert nginx.request("/echo").header("X-Upstream-Addr") is None
    assert "refused" in shared.start_stub("neighbour").fetch(f"http://{nginx.name}:8082/echo")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["switch"],
        ["switch", "a", "b"],
        ["pin"],
        ["rest", "dev"],
        ["peers", "/"],
        ["at-rest"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_explains_the_verbs(nginx: Nginx, arguments: list[str]) -> None:
    """Red when the number of arguments is not counted: `pin` without any would serve from nobody."""
    code, said = exit_code(nginx, FRONT, *arguments)
    assert code == 2
    assert "Usage: front VERB" in said
    assert rests(nginx)
