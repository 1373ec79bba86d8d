"""Start the new release next to the old one, switch nginx, drain the old one: for deploy and rollback."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from invoke.exceptions import Exit

from slipway.config.settings import record_machine
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import terminated_as_interrupted
from slipway.engine import engine
from slipway.engine.engine import ContainerState
from slipway.orchestrators import confighash
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.pgupgrade import dbmajor
from slipway.services import (
    connections,
    diagnosis,
    egress,
    extracontainers,
    front,
    hooks,
    processes,
    replicas,
)
from slipway.services.views import url
from slipway.state import releases
from slipway.state.releases import Release

__all__ = [
    "Step",
    "Switchover",
    "plan",
    "replacement",
    "run_one_shot",
]

Step = tuple[str, Callable[[], None]]
"""The name that is printed, and the action."""


class Switchover:
    """One switch-over from the live release to ``release``.

    ``run`` takes the steps before the switch-over itself and those after it. Until nginx has switched, a
    failure removes the containers that were started and leaves the old release unchanged.
    """

    def __init__(self, session: Session, release: str, previous: str, kind: str, source: str = "") -> None:
        self.session = session
        self.release = release
        self.previous = previous
        self.kind = kind
        self.source = source
        """The id of the build, where ``release`` is a name given by a person."""
        # Compose must use the new id for the new containers only, and later commands only once they serve:
        # so it is passed to these commands, and recorded with the switch.
        self.stack: Stack = session.stack.for_release(release)
        self.migrations: tuple[str, ...] = ()
        self.schema: tuple[str, ...] = ()
        self.backup = ""
        self.undo: list[Callable[[], None]] = []
        """Undoes finished steps, the last one first, when a failure comes before the switch."""
        self.finally_: list[Callable[[], None]] = []
        """Ends what a step has begun once the new release serves, even if a later step fails."""
        self.processes = extracontainers.ProcessSwitch(session, previous)
        """The workers and other processes of the live release."""
        self._step = ""
        self._switched = False
        self._one_shots = False
        self._started = False
        self._old: list[ContainerState] = []
        self._new: list[ContainerState] = []

    def run(self, before: Sequence[Step], after: Sequence[Step] = ()) -> None:
        """Run all steps, print how long each took, and enter the result into the ledger.

        Raises ``SlipwayError``: before the first step SLIP-085, SLIP-092 and what ``dbmajor.check`` raises,
        then SLIP-080 with the step that failed and the release that serves now.
        """
        self._check()
        steps: list[Step] = [
            ("pre-deploy hook", lambda: self._hook("pre-deploy")),
            *before,
            ("start", self._start),
            ("wait", lambda: replicas.wait_ready(self.session, self._new)),
            *self._processes(),
            ("switch", self._switch),
            ("drain", lambda: front.drain(self.session)),
            ("stop", self._stop_old),
            ("replace nginx", self._replace_nginx),
            *after,
        ]
        begun = time.monotonic()
        try:
            with terminated_as_interrupted():
                for name, act in steps:
                    self._take(name, act)
        except (SlipwayError, Exit, KeyboardInterrupt) as failed:
            raise self._give_up(failed) from None
        except BaseException as failed:
            self._give_up(failed)
            raise
        self._end()
        self._record("live")
        confighash.remember(self.session, self.stack)
        _forget_old_images(self.session)
        said = f"{self.session.stack.project}: {self.release} serves, after {time.monotonic() - begun:.0f} s"
        # The standard output of `up` is a table of services.
        (note if self.kind == "up" else print)(said)
        hooks.run(self.session, "post-deploy", self._facts())

    def one_shot(self, service: str) -> None:
        """Run a one-shot service of the new release to its end."""
        self._one_shots = True
        run_one_shot(self.session, self.stack, service)

    def _take(self, name: str, act: Callable[[], None]) -> None:
        self._step = name
        begun = time.monotonic()
        note(f"== {name}")
        act()
        note(f"== {name}: {time.monotonic() - begun:.1f} s")

    def _check(self) -> None:
        settings, stack = self.session.settings, self.session.stack
        live = replicas.of_release(stack, self.previous)
        connections.check(settings, max(settings.web_replicas, len(live)))
        dbmajor.check(self.session)
        processes.check(settings)
        egress.check(self.session)
        keepers = {"db": settings.postgres_image} if settings.database == "postgres" else {}
        # A missing redis replaces nothing.
        if settings.redis == "on" and any(c.service == "redis" for c in engine.containers(stack.project)):
            keepers["redis"] = settings.redis_image
        for service, image in keepers.items():
            if why := replacement(self.session, service, image, stack=self.stack):
                raise SlipwayError(
                    "SLIP-092",
                    f"the container of {service} would be replaced: {why}",
                    "run invoke up --prod at a time when requests may fail: it replaces it; then deploy",
                )
        if why := replacement(self.session, "nginx", settings.nginx_image, stack=self.stack):
            note(f"nginx's container will be replaced in the end, which cuts its connections: {why}")

    # -- steps -----------------------------------------------------------------------------------------

    def _start(self) -> None:
        stack = self.session.stack
        self._started = True
        self._old = replicas.of_release(stack, self.previous)
        front.ensure_serving(self.session, self.previous)
        # Containers of a killed deploy, to which nginx never sent requests.
        replicas.remove(self.session, replicas.besides(stack, self._old), force=True)
        if one_offs := engine.finished_one_offs(stack.project):
            self.session.runner.run(["docker", "rm", *one_offs], check=False)
        count = max(len(self._old), self.session.settings.web_replicas)
        self._new = replicas.start(self.session, self.stack, count)

    def _processes(self) -> list[Step]:
        """Replace workers and other processes before the switch.

        A worker of the old release would discard tasks that only the new one knows; and a new process that
        keeps ending shows while the deploy can still be undone.
        """
        stack = self.stack
        if not (stack.processes or extracontainers.containers(stack)):
            return []
        return [("processes", lambda: self.processes.replace(stack))]

    def _stop_old(self) -> None:
        replicas.remove(self.session, self._old)
        self.processes.remove_unknown()

    def _switch(self) -> None:
        front.prepare(self.session, self.release)
        front.wait_for_peers(self.session, replicas.addresses(self.stack, self._new))
        front.switch(self.session, self.release)
        self._switched = True
        record_machine(self.session.settings.root, {"RELEASE": self.release, "SOURCE": self.source})

    def _replace_nginx(self) -> None:
        if replacement(self.session, "nginx", self.session.settings.nginx_image, stack=self.stack):
            self.session.runner.run(self.stack.up_only("nginx"))
            self._wait_for_nginx()

    def _wait_for_nginx(self) -> None:
        timeout = self.session.settings.wait_timeout
        states = engine.wait(self.stack.project, ["nginx"], timeout, lambda _summaries: None)
        if not all(state.ready for state in states):
            raise diagnosis.failure(self.session, states)

    # -- how it ended ----------------------------------------------------------------------------------

    def _give_up(self, failed: BaseException) -> SlipwayError:
        why = failed.problem if isinstance(failed, SlipwayError) else str(failed) or "interrupted"
        # With code and fix, which the final message lacks: that one names the live release.
        note(f"== {self._step} failed: {failed if isinstance(failed, SlipwayError) else why}")
        if self._switched:
            self._end()
        else:
            self._restore_old()
        self._record("live" if self._switched else "failed", step=self._step)
        try:
            facts = {**self._facts(), "step": self._step, "problem": why}
            hooks.run(self.session, "deploy-failed", facts)
        except SlipwayError as also:
            note(str(also))
        serving = self.release if self._switched else self.previous
        return SlipwayError(
            "SLIP-080",
            f"{self.release}: the step {self._step!r} failed: {why}",
            f"{serving} serves; the error is above. Fix the cause and rerun the command",
        )

    def _restore_old(self) -> None:
        """Restore the old state: no container of the new release, one-shots of the old, nginx on the old."""
        if self._started:
            front.ensure_serving(self.session, self.previous)
            if self._step == "switch":
                # An interrupt waits for the running command: nginx may have switched already.
                front.drain(self.session)
            replicas.remove(self.session, replicas.besides(self.session.stack, self._old), force=True)
        if self._one_shots:
            one_shots = [*self.session.stack.one_shots(), "nginx-configuration"]
            old = self.session.stack.for_release(self.previous)
            self.session.runner.run(old.up_only(*one_shots), check=False)
        for take_back in reversed(self.undo):
            try:
                take_back()
            except SlipwayError as failed:
                # Later undo steps rely on this one: a site with the wrong database must stay closed.
                note(f"{failed}\nnothing more was undone: fix this by hand (docs/restore.md)")
                return
        self.processes.restore()

    def _end(self) -> None:
        for act in self.finally_:
            act()

    def _record(self, result: str, step: str = "") -> None:
        entry = Release(
            id=self.release, image=engine.image_id(self.stack.images()[0]), result=result, kind=self.kind,
            migrations=self.migrations, schema=self.schema, step=step, backup=self.backup,
        )  # fmt: skip
        releases.append(self.session.settings.root, entry)

    def _hook(self, name: str) -> None:
        hooks.run(self.session, name, self._facts())

    def _facts(self) -> dict[str, str]:
        return {
            "release": self.release,
            "previous_release": self.previous,
            "kind": self.kind,
            "project": self.stack.project,
            "url": url(self.session),
        }


def run_one_shot(session: Session, stack: Stack, service: str) -> None:
    """Run a one-shot service of ``stack`` to its end.

    It uses `up`, as Compose itself would: the container is kept, so a later `up` does not run it again.
    Raises what ``diagnosis.failure`` returns for a failed one.
    """
    moved = [c for c in engine.containers(stack.project) if c.service == service and c.is_moved]
    replicas.remove(session, moved, force=True)
    session.runner.run(stack.up_only(service))
    timeout = session.settings.wait_timeout
    states = engine.wait(stack.project, [service], timeout, lambda _summaries: None, finished=True)
    if not all(state.state == "exited" and state.ready for state in states):
        raise diagnosis.failure(session, states)
    if service == "static":
        diagnosis.pass_on_warnings(stack.project, service)


def replacement(
    session: Session,
    service: str,
    image: str,
    *,
    stack: Stack | None = None,
    there: Sequence[ContainerState] = (),
) -> str:
    """Return why Compose would replace a container of ``service``, which runs ``image``; empty: it would not.

    ``stack`` is by default the session's; pass another for another release. ``there`` are the containers to
    check, by default the service's.
    """
    there = there or [c for c in engine.containers(session.stack.project) if c.service == service]
    if not there:
        return "it does not exist"
    if any(container.image_id != engine.image_id(image) for container in there):
        return f"the image {image} has changed"
    if gone := next((c.folder for c in there if c.is_moved), ""):
        return f"its files were in {gone}, which no longer exists"
    if not confighash.is_current(session, stack or session.stack, there):
        return "its settings in .env or compose/ have changed"
    return ""


def _forget_old_images(session: Session) -> None:
    """Remove images but those of the last KEEP_RELEASES live releases, which are kept for rollbacks."""
    settings, stack = session.settings, session.stack
    ids = [entry.id for entry in releases.read(settings.root) if entry.result == "live"]
    kept = list(dict.fromkeys(reversed(ids)))[: settings.keep_releases]
    old = [
        name
        for repository in stack.repositories
        for name in engine.tags(repository)
        if name.rpartition(":")[2] not in kept
    ]
    if old:
        session.runner.run(["docker", "image", "rm", *old], check=False)


def plan(session: Session, release: str) -> None:
    """Print the commands of a switch-over (the runner is dry)."""
    stack = session.stack.for_release(release)
    note("== start")
    session.runner.run(
        stack.command("up", "--detach", "--no-recreate", "--no-build", "--scale", "web=N", "web")
    )
    if stack.processes:
        note("== processes")
        session.runner.run(stack.command("up", "--detach", "--no-build", "--no-deps", *stack.processes))
    note("== switch")
    front.prepare(session, release)
    front.switch(session, release)
    note("== stop")
    session.runner.run(["docker", "stop", "-t", session.settings.stop_grace_period.rstrip("s"), "OLD"])
    session.runner.run(["docker", "rm", "OLD"])
