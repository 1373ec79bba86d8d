"""The application comes, goes, moves and multiplies; nginx is never restarted."""

from __future__ import annotations

from visits import answered_by
from world import World, eventually


def test_without_an_application_there_is_a_502_page_and_then_the_site(world: World) -> None:
    """Red without `resolve` (nginx would not even start) or without error-pages.conf."""
    nginx = world.start_nginx()
    answer = nginx.request("/")
    assert answer.status == 502
    assert b"Back in a moment" in answer.body
    assert answer.header("Retry-After") == "5"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert nginx.request("/", headers={"Accept": "application/json"}).json["error"]["status"] == 502
    assert nginx.exec("curl", "--fail", "--silent", "http://127.0.0.1:8081/healthz") == "ok"
    world.start_stub()
    world.wait_for_application(nginx)


def test_a_recreated_application_is_found_at_its_new_address(world: World) -> None:
    """Red without `resolve`, or with a resolver that believes Docker's ten minutes (no `valid`)."""
    old = world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    left = old.address()
    old.remove()
    assert eventually("the loss shows", lambda: nginx.request("/").status in (502, 504))
    assert world.start_stub(alias="somebody-else").address() == left
    new = world.start_stub()
    eventually("the new one answers", lambda: nginx.request("/echo").json["hostname"] == new.hostname())
    assert answered_by(nginx, 20) == {new.hostname(): 20}


def test_every_replica_is_used_and_one_that_left_is_forgotten(world: World) -> None:
    """Red without `resolve`: neither new replicas nor the loss of them would be noticed."""
    first = world.start_stub()
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    more = [world.start_stub(), world.start_stub()]
    names = {replica.hostname() for replica in (first, *more)}
    eventually("all three replicas answer", lambda: set(answered_by(nginx, 12)) == names)
    for replica in more:
        replica.remove()
    eventually("ten answers in a row", lambda: all(nginx.request("/echo").status == 200 for _ in range(10)))
    assert set(answered_by(nginx, 30)) == {first.hostname()}


def test_a_replica_that_refuses_costs_no_request(world: World) -> None:
    """Red with `proxy_next_upstream off`. A replica that is stopping refuses, as does one still starting."""
    ready = world.start_stub()
    world.start_stub(port=9999)
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    assert answered_by(nginx, 30) == {ready.hostname(): 30}
    nginx.logged(lambda line: "," in line["upstream_addr"])


def test_a_post_is_never_repeated(world: World) -> None:
    """Red with `proxy_next_upstream error timeout non_idempotent`."""
    stubs = [world.start_stub(), world.start_stub()]
    nginx = world.start_nginx()
    world.wait_for_application(nginx)
    eventually("both replicas answer", lambda: len(answered_by(nginx, 8)) == 2)
    assert nginx.request("/drop", "POST", body=b"order=1").status == 502
    assert sum(stub.seen()["drop"] for stub in stubs) == 1
    assert nginx.request("/drop").status == 502
    assert sum(stub.seen()["drop"] for stub in stubs) == 3, "a GET is tried on the other replica"
