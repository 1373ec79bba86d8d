"""The production stack, through nginx."""

from __future__ import annotations

import gzip
import json
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.smoke.conftest import DB_MAX_CONNECTIONS, RELEASE
from tests.support.polling import eventually
from tests.support.site import Site, png
from tests.support.world import World, base_images, docker

_SEARCH = 'grep -rlF -e "$NEEDLE" /app /opt /etc /srv /usr/local /home /root /tmp /var 2>/dev/null || true'
_SERVING = ("db", "web", "nginx")


def _linked(page: str, pattern: str) -> str:
    found = re.search(pattern, page)
    assert found, f"no link like {pattern} in the page"
    return found[1]


@pytest.fixture
def site(prod: World) -> Iterator[Site]:
    """A visitor of the stack."""
    visitor = Site(prod.url)
    yield visitor
    visitor.client.close()


def test_the_page_answers_and_names_its_release(prod: World, site: Site) -> None:
    """Red when nginx has no upstream, or RELEASE does not reach the image."""
    assert site.get("/").status_code == 200
    assert site.release() == RELEASE
    labels = json.loads(docker("inspect", f"{prod.project}-web:{RELEASE}"))[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == RELEASE


def test_a_healthy_stack_leaves_the_doctor_nothing_to_find(prod: World) -> None:
    """Red when one of production's own checks, or a warning of the example's, is wrong about it."""
    assert json.loads(prod.invoke("doctor", "--json").stdout) == {"findings": [], "not_looked_at": {}}


def test_hashed_admin_css_is_cached_for_long_and_compressed(site: Site) -> None:
    """Red without the manifest storage, the cache map, or gzip."""
    page = site.get("/admin/login/").text
    path = _linked(page, r'href="(/static/admin/css/base\.[0-9a-f]{12}\.css)"')
    answer = site.get(path, Accept_Encoding="gzip")
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert int(_linked(answer.headers["Cache-Control"], r"max-age=(\d+)")) >= 31_536_000
    plain = site.get("/static/admin/css/base.css")
    assert plain.status_code == 200
    assert "immutable" not in plain.headers["Cache-Control"]


def test_an_upload_by_the_form_comes_back_byte_identical(site: Site) -> None:
    """Red when MEDIA_ROOT is not the shared volume, or nginx may not read what web writes."""
    picture = png()
    text = f"a picture {secrets.token_hex(4)}"
    answer = site.submit("/", {"text": text}, files={"image": ("dot.png", picture, "image/png")})
    assert answer.status_code == 302
    entries = site.get("/api/entries?limit=10").json()["entries"]
    entry = next(entry for entry in entries if entry["text"] == text)
    served = site.get(entry["image"])
    assert served.status_code == 200
    assert served.headers["Content-Type"] == "image/png"
    assert served.content == picture


def test_the_form_is_refused_without_its_token(site: Site) -> None:
    """Red when CSRF protection is off."""
    assert site.client.post("/", data={"text": "no token"}).status_code == 403


def test_admin_login(prod: World, site: Site) -> None:
    """Red when Host loses its port on the way (`$host`): Django's origin check would refuse the form."""
    prod.invoke("createsuperuser", "--username", "root", "--email", "r@example.org",
                env={"DJANGO_SUPERUSER_PASSWORD": "Tr0ub4dor-and-3"})  # fmt: skip
    assert site.sign_in("root", "Tr0ub4dor-and-3").headers["Location"] == "/admin/"
    assert "Site administration" in site.get("/admin/").text


def test_security_headers_once_each(site: Site) -> None:
    """Red when a header is missing, or nginx and Django both send it."""
    headers = site.get("/").headers
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"):
        assert len(headers.get_list(name)) == 1, name
    assert "nginx/" not in headers["Server"]


def test_the_request_id_comes_back_and_is_in_both_log_lines(prod: World, site: Site) -> None:
    """Red when X-Request-ID is not passed to Django, or either log leaves it out."""
    identifier = site.get("/?find-me").headers["X-Request-ID"]
    assert len(identifier) >= 16

    def logged(service: str) -> bool:
        return any(identifier in line for line in docker("logs", f"{prod.project}-{service}-1").splitlines())

    eventually(lambda: logged("nginx"), "the id in nginx's log", timeout=10)
    eventually(lambda: logged("web"), "the id in Django's log", timeout=10)


def test_unknown_hosts_and_dotfiles_are_refused(prod: World, site: Site) -> None:
    """Red without the default server, or without the dotfile rule where files are served."""
    assert site.get("/", Host="evil.example").status_code == 421
    # Django's own, who has no such page.
    for path in ("/.env", "/.git/config"):
        assert site.get(path).status_code == 404, path
    for path in ("/static/.hidden", "/media/.hidden"):
        answer = site.get(path)
        assert answer.status_code == 404 and "There is nothing at this address" in answer.text, path


def test_a_body_over_the_limit_gets_the_413_page(site: Site) -> None:
    """Red when CLIENT_MAX_BODY_SIZE does not reach nginx."""
    answer = site.client.post("/", content=b"x" * 20_000_000)
    assert answer.status_code == 413
    assert "text/html" in answer.headers["Content-Type"]
    assert "nginx/" not in answer.text


def test_nothing_runs_as_root_or_can_write_its_file_system(prod: World) -> None:
    """Red when user:, read_only:, cap_drop: or security_opt: is dropped from any service."""
    for container in prod.containers():
        name, host = container["Name"], container["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"], name
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), name
        assert host["Memory"] > 0 and host["CpuShares"] > 0, name
        assert host["Init"], name
        assert host["LogConfig"]["Config"]["max-size"], name
        if container["State"]["Running"]:
            assert container["State"]["Health"]["Status"] == "healthy", name
            assert host["RestartPolicy"]["Name"] == "always", name
    for service in _SERVING:
        name = f"{prod.project}-{service}-1"
        status = docker("exec", name, "cat", "/proc/1/status", "/proc/self/status")
        uids = re.findall(r"Uid:\s+(\d+)", status)
        assert uids and "0" not in uids, (service, uids)
        capabilities = re.findall(r"Cap(?:Eff|Prm|Bnd):\s+([0-9a-f]+)", status)
        assert capabilities and set(capabilities) == {"0000000000000000"}, service
        written = docker("exec", name, "sh", "-c", "touch /written 2>&1 || true")
        assert "Read-only" in written, service


def test_request_bodies_are_buffered_on_disk(prod: World) -> None:
    """Red when /var/cache/nginx is a tmpfs: a few unfinished uploads would then kill nginx (137)."""
    mounts = {m["Destination"]: m["Type"] for m in prod.container("nginx")["Mounts"]}
    assert mounts["/var/cache/nginx"] == "volume"


def test_what_a_killed_worker_of_nginx_left_is_removed(prod: World) -> None:
    """Red without `find` in docker/nginx/probe: bodies it was taking would fill the disk, bit by bit."""
    name, folder = f"{prod.project}-nginx-1", "/var/cache/nginx/client_temp"
    docker("exec", name, "sh", "-c", f"touch {folder}/new && touch -d '2 hours ago' {folder}/left")
    eventually(lambda: docker("exec", name, "ls", folder).split() == ["new"], "the health check to remove it")
    docker("exec", name, "rm", f"{folder}/new")


def test_the_volumes_of_nginx_belong_to_its_user(prod: World) -> None:
    """Red without `nocopy` in prod.yaml or the owner in the Dockerfile: the base image's is root."""
    folders = ("/srv/nginx", "/srv/state", "/var/cache/nginx")
    assert (
        docker("exec", f"{prod.project}-nginx-1", "stat", "-c", "%u:%g", *folders).split() == ["101:101"] * 3
    )


def test_debug_is_off(prod: World, site: Site) -> None:
    """Red when app.dev.env reaches production."""
    script = "from django.conf import settings; print('debug is', settings.DEBUG)\n"
    assert "debug is False" in prod.invoke("shell", "--django", stdin=script).stdout
    missing = site.get("/no/such/page")
    assert missing.status_code == 404
    assert "DEBUG" not in missing.text


def test_only_nginx_publishes_and_networks_are_separate(prod: World) -> None:
    """Red when another service gets `ports:`, or nginx joins the data network."""
    for container in prod.containers():
        published = {k for k, v in (container["NetworkSettings"]["Ports"] or {}).items() if v}
        expected = {"8080/tcp"} if container["Name"].endswith("-nginx-1") else set()
        assert published == expected, container["Name"]
    networks = {c["Name"].split("-")[-2]: set(c["NetworkSettings"]["Networks"]) for c in prod.containers()}
    assert networks["nginx"] == {f"{prod.project}_edge"}
    assert networks["db"] == {f"{prod.project}_data"}
    assert networks["web"] == {f"{prod.project}_edge", f"{prod.project}_data"}


def test_no_secret_is_in_inspect_history_or_an_image_file(prod: World) -> None:
    """Red when a secret travels as a build argument, an environment variable or a copied file."""
    values = [path.read_text().strip() for path in (prod.root / "secrets").iterdir()]
    assert len(values) >= 2 and all(len(value) >= 32 for value in values)
    shown = json.dumps(prod.containers())
    for image in (f"{prod.project}-web:{RELEASE}", f"{prod.project}-nginx-configuration:{RELEASE}"):
        shown += docker("inspect", image) + docker("history", "--no-trunc", image)
    for value in values:
        assert value not in shown
    for image in (f"{prod.project}-web:{RELEASE}", f"{prod.project}-nginx-configuration:{RELEASE}"):
        for value in values:
            found = docker(
                *("run", "--rm", "--user", "0", "--network", "none", "--env", f"NEEDLE={value}"),
                *("--entrypoint", "sh", image, "-c", _SEARCH),
            )
            assert found.strip() == "", (image, found)


def test_readiness_follows_the_database_and_liveness_does_not(prod: World, site: Site) -> None:
    """Red when /healthz/live asks the database, or /healthz/ready does not."""
    prod.invoke("stop", "--services", "db")
    try:
        eventually(lambda: site.get("/healthz/ready").status_code == 503, "ready to be 503")
        assert site.get("/healthz/live").status_code == 200
    finally:
        prod.invoke("start", "--services", "db")
    eventually(lambda: site.get("/healthz/ready").status_code == 200, "ready to be 200 again")


def test_a_recreated_web_leaves_no_502_once_healthy(prod: World, site: Site) -> None:
    """Red when nginx keeps the old address: upstream without `resolve`."""
    before = _address(prod)
    docker("rm", "--force", f"{prod.project}-web-1")
    # Docker gives a freed address to the next container: this one, so that web gets another.
    placeholder = docker(
        *("run", "--detach", "--rm", "--network", f"{prod.project}_edge", "--entrypoint", "sleep"),
        *(base_images()["PYTHON_IMAGE"], "600"),
    ).strip()
    try:
        prod.invoke("up", "--no-build")
        assert _address(prod) != before
        _serves_again(prod, site)
    finally:
        docker("rm", "--force", placeholder)


def _address(prod: World) -> str:
    networks = prod.container("web")["NetworkSettings"]["Networks"]
    return str(networks[f"{prod.project}_edge"]["IPAddress"])


def _serves_again(prod: World, site: Site) -> None:
    assert prod.health("web") == "healthy"
    eventually(lambda: site.get("/").status_code == 200, "nginx to find the new container", timeout=15)
    answers = [site.get("/").status_code for _ in range(100)]
    assert set(answers) == {200}


def test_scaling_1_3_1_leaves_no_502_and_uses_every_replica(prod: World, site: Site) -> None:
    """Red when nginx resolves only once: the new replicas would get no request."""
    prod.invoke("up", "--no-build", "--scale", "3")
    names = {c["Name"] for c in prod.containers() if "-web-" in c["Name"]}
    assert len(names) == 3

    def serving() -> set[str]:
        answers = [site.get("/") for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200}
        asked = {answer.headers["X-Request-ID"] for answer in answers}
        logs = {name: docker("logs", name.lstrip("/")) for name in names}
        return {name for name, log in logs.items() if any(identifier in log for identifier in asked)}

    eventually(lambda: serving() == names, "all three replicas to serve", timeout=30)
    prod.invoke("up", "--no-build", "--scale", "1")
    eventually(lambda: site.get("/").status_code == 200, "nginx to forget the removed ones", timeout=15)
    assert {site.get("/").status_code for _ in range(100)} == {200}


# Connections of the web service: those by the network that are not the health check's.
_OPENED = """select {what} from pg_stat_activity
    where usename = 'app' and client_addr <> '127.0.0.1' and backend_type = 'client backend'"""


@contextmanager
def _entries_locked(prod: World) -> Iterator[None]:
    """Every request that reads entries waits, with its connection, until the block ends."""
    script = "begin; lock table guestbook_entry in access exclusive mode; select pg_sleep(60)"
    psql = ["psql", "--username=app", "--dbname=app", "-c", script]
    with subprocess.Popen(
        ["docker", "exec", "--env", "PGAPPNAME=burst", f"{prod.project}-db-1", *psql],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ):
        holder = "from pg_stat_activity where application_name = 'burst'"
        held = f"select count(*) {holder} and wait_event = 'PgSleep'"
        try:
            eventually(lambda: prod.sql(held) == "1", "the lock to be held", timeout=15)
            yield
        finally:
            prod.sql(f"select pg_terminate_backend(pid) {holder}")


@contextmanager
def _visitors(url: str, count: int) -> Iterator[set[int]]:
    """``count`` visitors who never stop until the block ends; yields the statuses they get."""
    done = threading.Event()
    statuses: set[int] = set()

    def visit(number: int) -> None:
        visitor = Site(url)
        # Not everyone asks for readiness, as PostgreSQL's list has a closed connection for a moment longer.
        paths = ("/", "/healthz/ready") if number % 10 == 0 else ("/",)
        while not done.is_set():
            for path in paths:
                statuses.add(visitor.get(path).status_code)
        visitor.client.close()

    with ThreadPoolExecutor(count) as pool:
        visits = [pool.submit(visit, number) for number in range(count)]
        try:
            yield statuses
        finally:
            done.set()
        for each in visits:
            each.result()


def test_a_burst_opens_no_more_connections_than_were_counted(prod: World, site: Site) -> None:
    """Red when web runs with more workers or threads than connections.py counts with (the pool follows the
    threads), and with fewer: the burst is then no test of the bound."""
    replicas, workers, threads = 2, 2, 4
    counted: list[int] = []

    def count() -> int:
        counted.append(int(prod.sql(_OPENED.format(what="count(*)"))))
        return counted[-1]

    def both_serve() -> bool:
        site.get("/")
        return prod.sql(_OPENED.format(what="count(distinct client_addr)")) == str(replicas)

    def all_threads_wait() -> bool:
        with _entries_locked(prod):
            return eventually(lambda: count() >= replicas * workers * threads, "all threads", timeout=3)

    prod.invoke("up", "--no-build", "--scale", str(replicas))
    try:
        eventually(both_serve, "both replicas to serve")
        with _visitors(prod.url, 80) as statuses:
            # Again and again: a worker may get few of the visitors, but keeps what its pool has opened.
            eventually(all_threads_wait, "every thread to hold a connection", timeout=90)
            # Unlocked they go on: connections are given back and taken, readiness checks come between.
            for _ in range(20):
                count()
    finally:
        prod.invoke("up", "--no-build", "--scale", "1")
    assert max(counted) <= replicas * workers * (threads + 1), counted
    assert statuses == {200}


def test_more_replicas_than_the_database_has_connections_for_are_refused(prod: World) -> None:
    """Red when the check comes after the build or is gone, or PostgreSQL runs with another limit."""

    def everything() -> tuple[object, ...]:
        started = sorted((c["Id"], c["State"]["StartedAt"]) for c in prod.containers())
        return started, prod.left_behind(), (prod.root / ".slipway" / "machine.env").read_text()

    assert prod.sql("show max_connections") == str(DB_MAX_CONNECTIONS)
    before = everything()
    refused = prod.invoke("up", "--scale", "50", check=False)
    assert refused.returncode == 1
    limit = f"= 1010, more than DB_MAX_CONNECTIONS={DB_MAX_CONNECTIONS}"
    for part in ("SLIP-085", "50 replicas", limit, "at most 4 replicas"):
        assert part in refused.stderr, refused.stderr
    assert "docker" not in refused.stdout + refused.stderr, "a command was run"
    assert everything() == before


def test_web_stops_on_sigterm_with_exit_0_within_its_grace(prod: World, site: Site) -> None:
    """Red when gunicorn is not exec'd (SIGKILL after the grace: 137), or ignores SIGTERM."""
    name = f"{prod.project}-web-1"
    try:
        started = time.monotonic()
        docker("stop", "--signal", "SIGTERM", "--time", "30", name)
        elapsed = time.monotonic() - started
        state = prod.container("web")["State"]
        assert state["ExitCode"] == 0, state
        assert elapsed < 30, "the engine had to kill it"
    finally:
        prod.invoke("start", "--services", "web")
        eventually(lambda: prod.health("web") == "healthy", "web to be healthy again")
    eventually(lambda: site.get("/").status_code == 200, "the site to answer again")


def test_every_serving_container_ends_by_itself(prod: World) -> None:
    """Red when a stop signal is not the one the program understands: 137 is SIGKILL."""
    prod.invoke("stop")
    try:
        for service in _SERVING:
            assert prod.container(service)["State"]["ExitCode"] in {0, 128 + signal.SIGQUIT}, service
    finally:
        prod.invoke("start")
        for service in _SERVING:
            eventually(lambda service=service: prod.health(service) == "healthy", f"{service} healthy")


@pytest.fixture
def reopened(prod: World) -> Iterator[None]:
    """The site open again afterwards, however far the test got, and with the kit's page."""
    yield
    prod.invoke("maintenance", "off")
    (prod.root / "example" / "maintenance.html").unlink(missing_ok=True)


@pytest.mark.usefixtures("reopened")
def test_maintenance_closes_the_site_through_a_restart_and_a_stop(prod: World, site: Site) -> None:
    """Red without the volume nginx-state, or when the switch needs a running nginx."""
    assert json.loads(prod.invoke("maintenance", "status", "--json").stdout)["maintenance"] == "off"
    prod.invoke("maintenance", "on", "--retry-after", "600", "--message", "Back at <14:00>.")
    closed = site.get("/")
    assert (closed.status_code, closed.headers["Retry-After"]) == (503, "600")
    assert "Back at &lt;14:00&gt;." in closed.text
    assert {site.get(path).status_code for path in ("/healthz/ready", "/healthz/live")} == {200}
    assert site.get("/static/admin/css/base.css").status_code == 200

    prod.invoke("restart", "--services", "nginx")
    eventually(lambda: prod.health("nginx") == "healthy", "nginx to be healthy while the site is closed")
    assert site.get("/").status_code == 503
    status = json.loads(prod.invoke("maintenance", "status", "--json").stdout)
    assert (status["maintenance"], status["retry_after"]) == ("on", 600)

    prod.invoke("stop", "--services", "nginx")
    try:
        assert "nginx does not run" in prod.invoke("maintenance", "off").stdout
    finally:
        prod.invoke("start", "--services", "nginx")
    eventually(lambda: site.get("/").status_code == 200, "the site to be open after the start")
    names = [c["Name"].rsplit("-prod-", 1)[1] for c in prod.containers() if "nginx" in c["Name"]]
    assert sorted(names) == ["nginx-1", "nginx-configuration-1"], "a one-off was left behind"


@pytest.mark.usefixtures("reopened")
def test_a_maintenance_page_of_the_projects_own_comes_by_a_reload(prod: World, site: Site) -> None:
    """Red when the page is not copied, or is copied with its mode; red when `up` replaces nginx."""
    page = prod.root / "example" / "maintenance.html"
    page.write_text(
        "<h1>Our shop is closed</h1><!--# include virtual='/_maintenance/state/message.html' -->\n"
    )
    page.chmod(0o600)
    prod.invoke("maintenance", "on", "--message", "Back soon & better.")
    before = prod.container("nginx")
    prod.invoke("build", "--services", "nginx-configuration")
    prod.invoke("up", "--no-build")
    after = prod.container("nginx")
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    closed = site.get("/")
    assert closed.status_code == 503
    assert closed.text.startswith("<h1>Our shop is closed</h1>Back soon &amp; better.")
    prod.invoke("maintenance", "off")
    assert site.get("/").status_code == 200


# -- the tasks that behave differently here ----------------------------------------------------------


def test_makemigrations_only_checks(prod: World) -> None:
    """Red when the task tries to write into the read-only image."""
    shown = prod.invoke("makemigrations")
    assert "No changes detected" in shown.stdout
    assert "makemigrations --check --dry-run" in shown.stderr


def test_test_is_the_deployment_check(prod: World) -> None:
    """Red when it looks for tests the image does not have."""
    shown = prod.invoke("test")
    # The smoke stack speaks plain HTTP, which is what the deployment check warns of.
    assert "security.W" in shown.stdout + shown.stderr


def test_collectstatic_publishes_again_and_keeps_old_files(prod: World, site: Site) -> None:
    """Red when publishing deletes what pages of an earlier release still ask for."""
    volume = f"{prod.project}_static"
    web = f"{prod.project}-web:{RELEASE}"
    docker("run", "--rm", "--volume", f"{volume}:/srv/static", "--entrypoint", "sh", web, "-c",
           "echo old > /srv/static/old.0123456789ab.css && rm /srv/static/admin/css/base.css*")  # fmt: skip
    assert site.get("/static/admin/css/base.css").status_code == 404
    prod.invoke("collectstatic")
    assert site.get("/static/admin/css/base.css").status_code == 200
    assert site.get("/static/old.0123456789ab.css").text == "old\n"


def test_config_and_ps_name_the_production_services(prod: World) -> None:
    """Red when --prod is ignored."""
    assert set(json.loads(prod.invoke("config", "--json").stdout)["services"]) == {
        "db", "migrate", "static", "web", "nginx-configuration", "nginx",
    }  # fmt: skip
    rows = {row["service"]: row for row in json.loads(prod.invoke("ps", "--json").stdout)}
    assert set(rows) == set(_SERVING)
    assert {row["state"] for row in rows.values()} == {"healthy"}


def test_precompressed_files_are_what_the_originals_are(site: Site) -> None:
    """Red when the .gz beside a file is of another version."""
    plain = site.get("/static/admin/css/base.css", Accept_Encoding="identity").content
    with site.client.stream(
        "GET", "/static/admin/css/base.css", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(b"".join(answer.iter_raw())) == plain


@pytest.mark.parametrize("task", ["down"])
def test_down_volumes_leaves_nothing(prod: World, task: str) -> None:
    """Red when an image, network or volume of the stack stays. Runs last: it ends the stack."""
    prod.invoke(task, "--volumes", "--yes")
    assert prod.left_behind() == {"containers": [], "volumes": [], "networks": [], "images": []}
