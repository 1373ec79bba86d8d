"""Deploys that drop no request: the new release starts beside the old, nginx switches, the old drains."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from invoke.exceptions import Exit

from slipway import connections, engine, front, lifecycle, releases, revision
from slipway.compose import Stack
from slipway.errors import SlipwayError
from slipway.output import note, rows
from slipway.releases import Release
from slipway.run import Runner
from slipway.session import Session
from slipway.settings import Settings, record_machine
from slipway.settings import load as settings_now

__all__ = ["applied_migrations", "deploy", "list_releases", "note_start", "rollback"]

_LOCK = Path(".slipway/deploy.lock")
_STEPS = ("build", "back up", "migrate", "publish static files", "start", "wait", "switch", "drain", "stop")


def deploy(session: Session, *, release: str = "") -> None:
    """Build what is checked out and switch to it without dropping a request.

    ``release`` is the id, by default the git revision (with a digest of the changes when there are any).
    Until the switch a failure leaves the old release serving and removes the new one. Raises
    ``SlipwayError``: SLIP-077 when another deploy runs, SLIP-080 for a step that failed, SLIP-081 when
    nothing is up to deploy beside, SLIP-085 when the database has not enough connections for both.
    """
    settings, runner = session.settings, session.runner
    facts = revision.describe(settings.path(settings.project_root), runner)
    facts["RELEASE"] = _unused(settings, release or facts["RELEASE"])
    if runner.dry:
        _plan(session, facts["RELEASE"])
        return
    with _locked(settings.root):
        _require_running(session)
        _Switch(session, facts["RELEASE"]).run_from_source(facts)


def rollback(session: Session, *, release: str, keep_schema: bool) -> None:
    """Switch back to a kept image, as a deploy does; the database stays as it is.

    Raises ``SlipwayError``: SLIP-082 when there is no such release or its image is gone, SLIP-083 when
    migrations lie between and nobody has said what to do about them.
    """
    settings = session.settings
    if session.runner.dry:
        _plan_switch(session, release or "RELEASE")
        return
    with _locked(settings.root):
        _require_running(session)
        entries = releases.read(settings.root)
        target = releases.newest_before(entries, settings.release, release)
        between = releases.between(entries, target, applied_migrations(session))
        if between and not keep_schema:
            raise SlipwayError(
                "SLIP-083",
                f"migrations were applied after {target.id}: {', '.join(between)}",
                "if the old code runs on the new schema: --keep-schema; else undo them first "
                '(invoke migrate --prod --target "app number"), or deploy a corrected version',
            )
        image = f"{session.stack.web_repository}:{target.id}"
        if image not in engine.image_sizes([image]):
            raise SlipwayError(
                "SLIP-082", f"the image {image} is gone", "check out that revision and invoke deploy it"
            )
        _Switch(session, target.id).run_from_image()


def list_releases(session: Session, *, as_json: bool) -> None:
    """Print the ledger, newest first."""
    entries = releases.read(session.settings.root)
    data = [
        {
            "release": entry.id,
            "time": entry.time,
            "kind": entry.kind,
            "result": f"{entry.result}: {entry.step}" if entry.step else entry.result,
            "migrations": entry.migrations,
            "who": entry.who,
            "image": entry.image,
        }
        for entry in reversed(entries)
    ]
    rows(data, ("release", "time", "kind", "result", "migrations", "who"), as_json=as_json)


class _Switch:
    """One way from the release that serves to another one."""

    def __init__(self, session: Session, release: str) -> None:
        self.session = session
        self.runner: Runner = session.runner
        self.release = release
        # Compose must see the new id for the new containers alone, and only once they serve may every
        # later command see it: so it is given to these commands, and recorded after the switch.
        self.compose = session.stack.for_release(release)
        self.migrations: tuple[str, ...] = ()
        self.schema: set[str] = set()
        self.step = ""
        self.switched = False

    def run_from_source(self, facts: dict[str, str]) -> None:
        steps: list[tuple[str, Callable[[], None]]] = [
            ("build", lambda: lifecycle.build_release(self.session, self.compose, facts["REVISION"])),
            ("back up", self._back_up),
            ("migrate", self._migrate),
            ("publish static files", self._publish_static),
        ]
        self._run("deploy", steps)

    def run_from_image(self) -> None:
        # Its one-shots must be the ones that belong to it; `migrate` has nothing to apply.
        steps = [("migrate", self._migrate), ("publish static files", self._publish_static)]
        self._run("rollback", steps)

    def _run(self, kind: str, first: list[tuple[str, Callable[[], None]]]) -> None:
        stack, settings = self.session.stack, self.session.settings
        connections.check(settings, max(settings.web_replicas, len(self._containers(live=True))))
        old: list[str] = []
        new: list[str] = []

        def start() -> None:
            # What an interrupted deploy left beside the live release goes first.
            old.extend(self._containers(live=True))
            front.point_to(self.session, self._addresses(old))
            self._remove(self._containers(live=False))
            count = len(old) + max(len(old), self.session.settings.web_replicas)
            flags = ["--detach", "--no-recreate", "--no-build", "--scale", f"web={count}"]
            self.runner.run(self.compose.command("up", *flags, "web"))
            new.extend(c for c in self._web_ids() if c not in old)

        def wait() -> None:
            self._wait_ready(new)

        def switch() -> None:
            front.point_to(self.session, self._addresses(new))
            self.switched = True
            record_machine(self.session.settings.root, {"RELEASE": self.release})

        def drain() -> None:
            front.drain(self.session, timeout=120)

        def stop() -> None:
            self._remove(old)
            front.come_to_rest(self.session, self._addresses(new))

        steps = [
            *first,
            ("start", start),
            ("wait", wait),
            ("switch", switch),
            ("drain", drain),
            ("stop", stop),
        ]
        try:
            for name, act in steps:
                self.step = name
                begun = time.monotonic()
                note(f"== {name}")
                act()
                note(f"== {name}: {time.monotonic() - begun:.1f} s")
        except BaseException as failed:
            self._give_up(kind, new)
            if isinstance(failed, Exit | KeyboardInterrupt):
                raise self._failure(failed) from None
            raise
        self._record(kind, "live")
        self._forget_old_images()
        print(f"{stack.project}: {self.release} serves")

    # -- steps -----------------------------------------------------------------------------------------

    def _back_up(self) -> None:
        settings = self.session.settings
        if settings.database != "postgres":
            return
        folder = settings.root / "backups"
        folder.mkdir(mode=0o700, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        target = folder / f"{stamp}-before-{self.release}.dump"
        dump = ["pg_dump", "--format=custom", f"--username={settings.db_user}", settings.db_name]
        self.runner.run(self.session.stack.command("exec", "-T", "db", *dump), stdout=target)

    def _migrate(self) -> None:
        before = self._applied()
        try:
            self._one_shot(self.compose, "migrate")
        finally:
            self.schema = self._applied()
            self.migrations = tuple(sorted(self.schema - before))

    def _applied(self) -> set[str]:
        listing = ["python", "manage.py", "showmigrations", "--plan"]
        argv = self.compose.command("run", "--rm", "--no-deps", "-T", "migrate", *listing)
        return _applied_in(self.runner.capture(argv, check=True).stdout)

    def _publish_static(self) -> None:
        self._one_shot(self.compose, "static")

    def _one_shot(self, stack: Stack, service: str) -> None:
        """Run a one-shot service of ``stack`` to its end.

        By `up`, as Compose itself would: the container stays, so that a later `up` finds it as it wants
        it. Compose recreates web and nginx along with a one-shot that it has to recreate.
        """
        self.runner.run(stack.command("up", "--detach", "--no-build", service))
        timeout = self.session.settings.wait_timeout
        states = engine.wait(stack.project, [service], timeout, lambda _summaries: None, finished=True)
        if not all(state.state == "exited" and state.ready for state in states):
            raise lifecycle.failure(self.session, states)

    def _wait_ready(self, ids: Sequence[str]) -> None:
        deadline = time.monotonic() + self.session.settings.wait_timeout
        while True:
            states = [c for c in engine.containers(self.session.stack.project) if c.id in ids]
            if len(states) == len(ids) and states and all(state.ready for state in states):
                return
            failed = [state for state in states if state.failed or state.restarts]
            if failed or time.monotonic() > deadline:
                raise lifecycle.failure(self.session, failed or [s for s in states if not s.ready])
            time.sleep(0.5)

    # -- containers ------------------------------------------------------------------------------------

    def _web_ids(self) -> list[str]:
        return [c.id for c in engine.containers(self.session.stack.project) if c.service == "web"]

    def _containers(self, *, live: bool) -> list[str]:
        """Web containers of the recorded release, or (not ``live``) the ones of any other."""
        image = f"{self.session.stack.web_repository}:{self.session.settings.release}"
        found = [c for c in engine.containers(self.session.stack.project) if c.service == "web"]
        return [c.id for c in found if (c.image == image and c.state == "running") == live]

    def _addresses(self, ids: Sequence[str]) -> list[str]:
        network = f"{self.session.stack.project}_edge"
        found = [c for c in engine.containers(self.session.stack.project) if c.id in ids]
        return sorted(c.addresses[network] for c in found if c.addresses.get(network))

    def _remove(self, ids: Sequence[str]) -> None:
        if ids:
            grace = self.session.settings.stop_grace_period.rstrip("s")
            self.runner.run(["docker", "stop", "--time", grace, *ids])
            self.runner.run(["docker", "rm", *ids])

    # -- how it ended ----------------------------------------------------------------------------------

    def _give_up(self, kind: str, new: Sequence[str]) -> None:
        if not self.switched:
            ids = [c for c in self._web_ids() if c in new] or self._containers(live=False)
            if ids and self.step in {"start", "wait", "switch"}:
                self.runner.run(["docker", "rm", "--force", *ids], check=False)
            if self.step in {"start", "wait", "switch"}:
                front.come_to_rest(self.session, self._addresses(self._containers(live=True)))
            if self.step not in {"build", "back up"}:
                one_shots = self.session.stack.command("up", "--detach", "--no-build", "migrate", "static")
                self.runner.run(one_shots, check=False)
        self._record(kind, "live" if self.switched else "failed", step=self.step)

    def _record(self, kind: str, result: str, step: str = "") -> None:
        image = f"{self.session.stack.web_repository}:{self.release}"
        entry = Release(
            id=self.release, image=engine.image_id(image), result=result, kind=kind,
            migrations=self.migrations, schema=tuple(sorted(self.schema)), step=step,
        )  # fmt: skip
        releases.append(self.session.settings.root, entry)

    def _failure(self, failed: BaseException) -> SlipwayError:
        serving = self.release if self.switched else self.session.settings.release
        why = failed.problem if isinstance(failed, SlipwayError) else str(failed) or "interrupted"
        return SlipwayError(
            "SLIP-080",
            f"{self.release}: the step {self.step!r} failed: {why}",
            f"{serving} serves; what failed is above. Mend it and run the same command again",
        )

    def _forget_old_images(self) -> None:
        """Keep the images of the last KEEP_RELEASES releases that went live, for a way back."""
        settings, stack = self.session.settings, self.session.stack
        ids = [entry.id for entry in releases.read(settings.root) if entry.result == "live"]
        kept = list(dict.fromkeys(reversed(ids)))[: settings.keep_releases]
        names = [f"{stack.web_repository}:{identifier}" for identifier in kept]
        old = [name for name in engine.tags(stack.web_repository) if name not in names]
        if old:
            self.runner.run(["docker", "image", "rm", *old], check=False)


def note_start(session: Session) -> None:
    """Enter into the ledger that ``up`` has brought another release than the last one that served."""
    settings, stack = session.settings, session.stack
    release = settings_now(settings.root).release
    last = releases.live(releases.read(settings.root))
    if last and last.id == release:
        return
    schema = tuple(sorted(applied_migrations(session)))
    image = engine.image_id(f"{stack.web_repository}:{release}")
    releases.append(settings.root, Release(id=release, image=image, result="live", kind="up", schema=schema))


def applied_migrations(session: Session) -> set[str]:
    """The migrations that the serving release knows and finds applied, as ``app.name``."""
    listing = ["python", "manage.py", "showmigrations", "--plan"]
    argv = session.stack.execute("web", listing, running=True, tty=False)
    return _applied_in(session.runner.capture(argv, check=True).stdout)


def _applied_in(listing: str) -> set[str]:
    return set(re.findall(r"^\[X\]\s+(\S+)", listing, re.MULTILINE))


def _unused(settings: Settings, release: str) -> str:
    """``release``, numbered when it is the one that serves: the two must have different names."""
    number = 2
    wanted = release
    while wanted == settings.release:
        wanted = f"{release}-{number}"
        number += 1
    return wanted


def _plan(session: Session, release: str) -> None:
    note(f"deploy {release} over {session.settings.release}: {', '.join(_STEPS)}")
    stack = session.stack.for_release(release)
    session.runner.run(stack.build(["web"]))
    session.runner.run(stack.command("up", "--detach", "--no-build", "migrate"))
    _plan_switch(session, release)


def _plan_switch(session: Session, release: str) -> None:
    stack = session.stack.for_release(release)
    session.runner.run(stack.command("up", "--detach", "--no-build", "static"))
    session.runner.run(stack.command("up", "--detach", "--no-recreate", "--no-build", "web"))
    front.point_to(session, ["ADDRESS"])
    front.come_to_rest(session, ["ADDRESS"])


def _require_running(session: Session) -> None:
    origin = session.settings.origins["RELEASE"]
    if origin not in {"default", "machine.env"} and not origin.startswith("machine.env:"):
        raise SlipwayError(
            "SLIP-084",
            f"RELEASE is fixed by {origin}, so a deploy could not record the new one",
            "remove it there; invoke deploy --release NAME names one release",
        )
    running = {c.service for c in engine.containers(session.stack.project) if c.state == "running"}
    if not {"web", "nginx"} <= running:
        raise SlipwayError(
            "SLIP-081",
            f"{session.stack.project} is not up, so there is nothing to switch from",
            "the first start is: invoke up --prod",
        )


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the deploy lock. The kernel frees it with the process, so a stale one cannot be."""
    path = root / _LOCK
    path.parent.mkdir(exist_ok=True)
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = json.loads(lock.read() or "{}")
            raise SlipwayError(
                "SLIP-077",
                f"another deploy runs: process {holder.get('pid')} since {holder.get('since')}",
                "wait for it to end",
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}))
        lock.flush()
        yield
