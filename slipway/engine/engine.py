"""Queries to the engine: states, health, ports, sizes and labelled objects.

Changes go through the ``docker`` command line, where people can see and repeat them; this module only
queries, through ``engineapi``. The Engine API has no Compose projects: containers are found by the labels
that Compose puts on them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from slipway.core.errors import SlipwayError
from slipway.engine import engineapi
from slipway.engine.engineapi import NotFoundError
from slipway.engine.pull import Outcome, Pull, classify

__all__ = [
    "ContainerState",
    "Deaths",
    "Leftovers",
    "containers",
    "image_sizes",
    "leftovers",
    "processors",
    "publisher",
    "wait",
]

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
RELEASE_LABEL = "slipway.release"  # set by the Dockerfile's target `web`, and by no other
_PROCESS_LABEL = "slipway.process"  # set in compose/process-*.yaml
_CONFIG_HASH_LABEL = "com.docker.compose.config-hash"
_NUMBER_LABEL = "com.docker.compose.container-number"
_ONE_OFF_LABEL = "com.docker.compose.oneoff"
_VOLUME_LABEL = "com.docker.compose.volume"
_WORKING_DIR_LABEL = "com.docker.compose.project.working_dir"
FOLDER_LABEL = "slipway.folder"
"""On a volume: the folder that the stack belongs to, for a stack without containers (``ownership``)."""
_POLL_SECONDS = 0.2
_HEADER = 8  # bytes in front of each piece of a log
_START_SECONDS = 60  # longer than the time between the creation of a container and its start
_DEATHS = 3  # a container that has ended this often during a wait will not become ready
_MEMORY_SECONDS = 10.0  # for a container out of memory that runs on: its server restarts a killed process
_LAST_SECONDS = 60  # the part of an ended container's log that says why it ended
_UNCOUNTED = 5  # attempts to get sizes from the engine


@dataclass(frozen=True)
class ContainerState:
    """One container as the engine reports it.

    ``health`` is empty when it has no health check; ``error`` says why the engine could not start it.
    """

    id: str
    name: str
    service: str
    image: str
    state: str
    health: str
    exit_code: int
    ports: tuple[str, ...]
    addresses: Mapping[str, str]
    """The container's IP address on each of its networks."""
    health_output: str
    error: str
    restarts: int
    created: str = ""
    """When it was created; ``started`` is its last start. Both in the engine's format, so that they sort."""
    started: str = ""
    image_id: str = ""
    config_hash: str = ""
    """Compose's digest of the service's configuration when it created this container."""
    folder: str = ""
    """The folder whose compose files it was created from."""
    beside_web: bool = False
    """Whether it is one of the processes next to web (``extraprocesses``)."""
    tty: bool = False
    """Whether it has a terminal; its log is then one stream."""
    out_of_memory: bool = False
    """Whether the kernel killed it, or a process in it, because it had reached its memory limit."""
    finished: str = ""
    """When it last ended, in the format of ``started``."""
    deaths: int = 0
    """How often it ended during a wait; ``Deaths.counted`` sets it if that is a reason to give up."""

    @property
    def is_moved(self) -> bool:
        """Whether the folder it was created from is gone: if it mounts a file of it, it cannot restart."""
        return bool(self.folder) and not Path(self.folder).exists()

    @property
    def ready(self) -> bool:
        """Running and healthy, or a one-shot that has succeeded."""
        if self.state == "exited":
            return self.exit_code == 0
        return self.state == "running" and self.health in {"", "healthy"}

    @property
    def failed(self) -> bool:
        """Ended with an error, killed, restarting or unhealthy: waiting longer will not help."""
        broken = self.state in {"exited", "dead"} and self.exit_code != 0
        return (
            broken
            or bool(self.error or self.deaths)
            or self.state in {"dead", "restarting"}
            or self.health == "unhealthy"
        )

    @property
    def summary(self) -> str:
        """The state in a few words: ``healthy``, ``starting``, ``done``, ``exited (1)``."""
        if self.state == "running":
            return self.health or "running"
        if self.state == "exited":
            return "done" if self.exit_code == 0 else f"exited ({self.exit_code})"
        return self.state


@dataclass(frozen=True)
class Leftovers:
    """The objects that a prune would remove: names per kind, and the bytes it would free."""

    containers: tuple[str, ...]
    images: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    size: int


@functools.cache
def facts() -> dict[str, Any]:
    """The engine's own report on itself and its machine, which need not be this one."""
    return dict(engineapi.get("/info"))


def rootless() -> bool:
    """Whether the engine runs without root rights: root in a container is then the engine's own user."""
    return "name=rootless" in (facts().get("SecurityOptions") or [])


def processors() -> int:
    """How many processors the engine's machine has."""
    return int(facts()["NCPU"])


def containers(project: str, service: str = "", *, one_off: bool = False) -> list[ContainerState]:
    """Every container of a Compose project, or of one ``service``, running or not, by service and number.

    Containers of ``run`` and ``exec`` tasks (one-off ones) only with ``one_off``.
    """
    labels = [f"{SERVICE_LABEL}={service}"] if service else []
    found = [c for c in _listed(project, *labels) if one_off or c["Labels"].get(_ONE_OFF_LABEL) != "True"]
    # A one-off that has ended since the listing (`run --rm`) has no state.
    states = [state for each in found if (state := container(each["Id"]))]
    return sorted(states, key=lambda state: (state.service, state.name))


def _listed(project: str, *labels: str, **filters: list[str]) -> list[dict[str, Any]]:
    """A Compose project's containers with ``labels``, running or not, as the engine lists them."""
    wanted = {"label": [f"{PROJECT_LABEL}={project}", *labels], **filters}
    return list(engineapi.get("/containers/json", all=True, filters=wanted))


def finished_one_offs(project: str, services: Collection[str] = ()) -> list[str]:
    """The ids of one-off containers that have ended or never started, as a killed `run --rm` leaves them.

    Only those of ``services``, if any are named. One that was just created is left out: it is about to start.
    """
    long_ago = time.time() - _START_SECONDS
    return [
        str(found["Id"])
        for found in _listed(project, f"{_ONE_OFF_LABEL}=True", status=["exited", "created", "dead"])
        if not services or found["Labels"].get(SERVICE_LABEL) in services
        if found["State"] != "created" or found["Created"] < long_ago
    ]


def running(project: str, service: str) -> bool:
    """Whether ``service`` has a running container."""
    return bool(first_running(project, service))


def first_running(project: str, service: str) -> str:
    """The id of the container that Compose runs commands for ``service`` in; empty when none runs."""
    found = _listed(project, f"{SERVICE_LABEL}={service}", status=["running"])
    found = [c for c in found if c["Labels"].get(_ONE_OFF_LABEL) != "True"]
    numbers = {int(c["Labels"].get(_NUMBER_LABEL, 0)): str(c["Id"]) for c in found}
    return numbers[min(numbers)] if numbers else ""


def is_running(name: str) -> bool:
    """Whether there is a running container of that name."""
    state = container(name)
    return state is not None and state.state == "running"


def logs(state: ContainerState, tail: int) -> list[str]:
    """The last ``tail`` log lines of a container, both streams.

    If it was restarted and runs again, the lines from before the restart: they say why it ended.
    """
    again = state.restarts and state.state == "running"
    if not again:
        return _logs(state, tail=str(tail))
    # Without `tail`: the engine counts those lines from the end of the log, before it applies `until`. Times
    # have a fraction; otherwise lines of the last second would be lost.
    started, finished = _timestamp(state.started), _timestamp(state.finished)
    # The engine notes a start after the new run's first lines, and an end before the old run's last ones.
    until = f"{(started + finished) / 2:.6f}"
    lately = f"{finished - _LAST_SECONDS:.6f}"
    lines = _logs(state, until=until, since=lately) or _logs(state, until=until)
    return lines[-tail:]


def _logs(state: ContainerState, **bounds: str) -> list[str]:
    output = engineapi.raw(f"/containers/{state.id}/logs", stdout=True, stderr=True, **bounds)
    return (output if state.tty else _without_headers(output)).decode("utf-8", "replace").splitlines()


def _timestamp(text: str) -> float:
    """Seconds since the epoch; the engine's "never" (the year 1) is long before."""
    return datetime.fromisoformat(text).timestamp()


def _without_headers(stream: bytes) -> bytes:
    """Both streams as one: each piece has a header of eight bytes, and the last four are its length.

    From the Engine API's reference, "Attach to a container", stream format.
    """
    text = b""
    while len(stream) > _HEADER:
        end = _HEADER + int.from_bytes(stream[4:_HEADER], "big")
        text, stream = text + stream[_HEADER:end], stream[end:]
    return text


class Deaths:
    """Counts how often a project's containers end during a wait.

    A restart policy hides that: a container that keeps ending is always running or restarting when queried.
    Create it before the containers are started: earlier ends do not count.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._before = {state.id: state.restarts for state in containers(project)}
        self._short: dict[str, float] = {}
        self._ending: set[str] = set()

    def counted(self, state: ContainerState) -> ContainerState:
        """``state`` with its ``deaths`` if there are too many or it is out of memory; else unchanged.

        One or two are not too many: its database may have been slow. The engine reports an exit code only
        while the container does not run, so fewer ends suffice when it has just ended.
        """
        if state.ready:
            self._short.pop(state.id, None)
            self._ending.discard(state.id)
            return state
        before = self._before.get(state.id, 0)
        # The engine's count starts again from 0 when a person or a task starts the container.
        deaths = state.restarts - before if state.restarts >= before else state.restarts
        waiting = state.state == "restarting"
        if state.id in self._ending or deaths >= (_DEATHS if waiting else 2 * _DEATHS):
            # Remembered, because the next query may find it running again.
            self._ending.add(state.id)
            return replace(state, deaths=deaths)
        if state.out_of_memory and not waiting:
            since = self._short.setdefault(state.id, time.monotonic())
            if time.monotonic() - since > _MEMORY_SECONDS:
                return replace(state, deaths=max(deaths, 1))
        return state

    def too_many(self, services: Collection[str]) -> bool:
        """Whether a container of ``services`` keeps ending, now."""
        return any(self.counted(s).deaths for s in containers(self._project) if s.service in services)

    def hopeless(self, state: ContainerState) -> bool:
        """Whether waiting longer for ``state``, as ``counted``, will not help."""
        return bool(state.deaths) or (state.failed and (state.state != "restarting" or bool(state.error)))


def wait(
    project: str,
    services: Iterable[str],
    timeout: float,
    on_change: Callable[[Mapping[str, str]], None],
    *,
    finished: bool = False,
    deaths: Deaths | None = None,
) -> list[ContainerState]:
    """Wait until every container of ``services`` is ready, at most ``timeout`` seconds.

    Calls ``on_change`` with the summary by container name, whenever one changes. Returns the last states
    seen; the caller checks them for containers that are not ``ready``. Returns at once when a container has
    failed or keeps ending; ``deaths`` can count from before the wait.
    With ``finished`` a running container is not enough: for one-shots, which have no health check.
    """
    deaths = deaths or Deaths(project)
    wanted = set(services)
    deadline = time.monotonic() + timeout
    shown: dict[str, str] = {}
    while True:
        states = [deaths.counted(state) for state in containers(project) if state.service in wanted]
        summaries = {state.name: state.summary for state in states}
        if summaries != shown:
            shown = summaries
            on_change(shown)
        complete = wanted <= {state.service for state in states}
        if complete and all(state.ready and (state.state == "exited" or not finished) for state in states):
            return states
        if any(deaths.hopeless(state) for state in states) or time.monotonic() > deadline:
            return states
        time.sleep(_POLL_SECONDS)


def publisher(port: int) -> tuple[str, str] | None:
    """The name and the Compose project of the running container that publishes host TCP ``port``.

    The project is empty when Compose has not created it; ``None`` when there is no such container.
    """
    for found in engineapi.get("/containers/json"):
        if any(published.get("PublicPort") == port for published in found["Ports"] or []):
            return str(found["Names"][0]).lstrip("/"), str(found["Labels"].get(PROJECT_LABEL, ""))
    return None


def published(project: str, service: str) -> list[str]:
    """The ``address:port`` pairs on the host that lead to ``service``."""
    return [port for state in containers(project, service) for port in state.ports]


def image_sizes(references: Iterable[str]) -> dict[str, int]:
    """Bytes of each local image among ``references``, as ``docker images`` shows; absent ones are left out.

    From the engine's list of images: with the containerd image store, an image's own record has another size.
    """
    listed = {image["Id"]: int(image["Size"]) for image in engineapi.get("/images/json")}
    found = {reference: _image(reference) for reference in references}
    return {name: listed.get(image["Id"], image["Size"]) for name, image in found.items() if image}


def _image(reference: str) -> dict[str, Any]:
    """The engine's record of a local image; empty when there is none."""
    try:
        return dict(engineapi.get(f"/images/{reference}/json"))
    except NotFoundError:
        return {}


def image_id(reference: str) -> str:
    """The id of a local image, empty when there is none."""
    return str(_image(reference).get("Id", ""))


def can_have(reference: str, seconds: int = 20) -> bool:
    """Whether an image is on this machine or its registry answers within ``seconds``; pulls nothing.

    True if no engine answers: nothing is known then.
    """
    try:
        if image_id(reference):
            return True
    except SlipwayError:
        return True
    return registry_answer(reference, seconds).outcome is not Outcome.UNREACHABLE


def registry_answer(reference: str, seconds: int) -> Pull:
    """The answer that the registry of an image would give to a pull, within ``seconds``; pulls nothing."""
    from docker.errors import DockerException  # noqa: PLC0415  (see engineapi)
    from requests import RequestException  # noqa: PLC0415

    try:
        engineapi.sdk(seconds).images.get_registry_data(reference)
    except DockerException as answer:
        return classify(1, str(answer))
    except RequestException as silent:
        return Pull(Outcome.UNREACHABLE, str(silent))
    return Pull(Outcome.PULLED)


def image_label(reference: str, label: str) -> str:
    """The value of a local image's label; empty when there is no such image or label."""
    return str((_config(reference).get("Labels") or {}).get(label, ""))


def image_release(reference: str) -> str:
    """The release in the label of a production image of the kit; empty for any other image."""
    return image_label(reference, RELEASE_LABEL)


def image_environment(reference: str) -> dict[str, str]:
    """The environment that a local image sets in its containers; empty when there is no such image."""
    return _environment(_config(reference))


def _config(reference: str) -> dict[str, Any]:
    return dict(_image(reference).get("Config") or {})


def environment(container: str) -> dict[str, str]:
    """The environment of a container, by its id or name."""
    return _environment(_inspected(container)["Config"])


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in config.get("Env") or [])


def mounted_volumes(container: str) -> set[str]:
    """The names of the volumes that a container mounts."""
    return {str(mount["Name"]) for mount in _inspected(container)["Mounts"] if mount["Type"] == "volume"}


def container(name: str) -> ContainerState | None:
    """One container by its name or id, ``None`` when there is none."""
    try:
        return _state(_inspected(name))
    except NotFoundError:
        return None


def _inspected(container: str) -> dict[str, Any]:
    return dict(engineapi.get(f"/containers/{container}/json"))


def tags(repository: str) -> list[str]:
    """Every local ``repository:tag``."""
    found = engineapi.get("/images/json", filters={"reference": [repository]})
    return sorted({tag for image in found for tag in _tags(image) if tag.rpartition(":")[0] == repository})


def leftovers(project: str, *, volumes: bool) -> Leftovers:
    """The unused objects with one project's label; volumes only with ``volumes``."""
    usage = _usage()
    idle = [c for c in usage["Container"] if _labelled(c, project) and c["State"] != "running"]
    used = {c["ImageID"] for c in usage["Container"]}
    images = [
        i
        for i in usage["Image"]
        if _labelled(i, project) and not any(_tags(i)) and i["Containers"] <= 0 and i["Id"] not in used
    ]
    attached = {
        name for c in _listed(project, status=["running"]) for name in c["NetworkSettings"]["Networks"]
    }
    labelled = engineapi.get("/networks", filters={"label": [f"{PROJECT_LABEL}={project}"]})
    networks = [str(n["Name"]) for n in labelled if n["Name"] not in attached]
    in_use = {
        mount["Name"]
        for c in usage["Container"]
        if c not in idle
        for mount in c["Mounts"]
        if mount["Type"] == "volume"
    }
    unused = [v for v in usage["Volume"] if volumes and _labelled(v, project) and v["Name"] not in in_use]
    size = sum(c.get("SizeRw") or 0 for c in idle)
    size += sum(max(i["Size"] - max(i["SharedSize"], 0), 0) for i in images)
    size += sum(max(v["UsageData"]["Size"], 0) for v in unused)
    return Leftovers(
        containers=tuple(c["Names"][0].lstrip("/") for c in idle),
        images=tuple(i["Id"].removeprefix("sha256:")[:12] for i in images),
        networks=tuple(networks),
        volumes=tuple(v["Name"] for v in unused),
        size=size,
    )


def _usage() -> dict[str, list[dict[str, Any]]]:
    """The engine's objects with sizes: the lists ``Container``, ``Image`` and ``Volume``.

    Since API 1.52 they are the ``Items`` of ``ContainerUsage`` and so on, with ``verbose``, and since 1.53
    nowhere else. The engine answers 404 when an image disappears while it counts, as in a build.
    Raises ``SlipwayError`` SLIP-161 when it does so repeatedly.
    """
    for _ in range(_UNCOUNTED):
        try:
            answer = engineapi.get("/system/df", verbose=True)
        except NotFoundError:
            time.sleep(_POLL_SECONDS)
            continue
        return {
            kind: (answer.get(f"{kind}Usage") or {}).get("Items") or answer.get(f"{kind}s") or []
            for kind in ("Container", "Image", "Volume")
        }
    raise SlipwayError(
        "SLIP-161",
        "the engine cannot count its objects: images come and go meanwhile",
        "rerun the command when no build runs; nothing was removed",
    )


def volumes(project: str, name: str = "") -> dict[str, str]:
    """A Compose project's volumes: the creation time, as the engine writes it, by volume name.

    With ``name`` only those with that name in the compose files.
    """
    labels = [f"{PROJECT_LABEL}={project}", *([f"{_VOLUME_LABEL}={name}"] if name else [])]
    found = engineapi.get("/volumes", filters={"label": labels})["Volumes"] or []
    return {volume["Name"]: volume["CreatedAt"] for volume in sorted(found, key=lambda v: str(v["Name"]))}


def folders(project: str) -> list[str]:
    """The folders that a Compose project's containers were created from, the newest container's first."""
    found = sorted(_listed(project), key=lambda c: int(c["Created"]), reverse=True)
    named = (str(c["Labels"].get(_WORKING_DIR_LABEL, "")) for c in found)
    return list(dict.fromkeys(folder for folder in named if folder))


def folder_of_volume(name: str) -> str:
    """The folder in a volume's label; empty when there is no such volume or label."""
    try:
        return str((engineapi.get(f"/volumes/{name}")["Labels"] or {}).get(FOLDER_LABEL, ""))
    except NotFoundError:
        return ""


def network_is_internal(name: str) -> bool | None:
    """Whether a network has no route out; None when there is no network of that name."""
    # The filter also matches parts of names.
    named = engineapi.get("/networks", filters={"name": [name]})
    found = [network for network in named if network["Name"] == name]
    return bool(found[0]["Internal"]) if found else None


def _labelled(thing: Mapping[str, Any], project: str) -> bool:
    return (thing.get("Labels") or {}).get(PROJECT_LABEL) == project


def _tags(image: Mapping[str, Any]) -> list[str]:
    return [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]


def _state(attrs: Mapping[str, Any]) -> ContainerState:
    state, config = attrs["State"], attrs["Config"]
    labels = config["Labels"] or {}
    health = state.get("Health") or {}
    outputs = [entry["Output"].strip() for entry in health.get("Log") or [] if entry["ExitCode"]]
    ports = {
        f"{binding['HostIp']}:{binding['HostPort']}"
        for bindings in (attrs["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or []
    }
    return ContainerState(
        id=str(attrs["Id"]),
        name=str(attrs["Name"]).lstrip("/"),
        service=labels.get(SERVICE_LABEL, ""),
        image=config["Image"],
        state=state["Status"],
        health=health.get("Status", ""),
        exit_code=state["ExitCode"],
        ports=tuple(sorted(ports)),
        addresses={
            name: endpoint["IPAddress"] for name, endpoint in attrs["NetworkSettings"]["Networks"].items()
        },
        health_output=outputs[-1] if outputs else "",
        error=state.get("Error", ""),
        restarts=attrs.get("RestartCount", 0),
        created=attrs.get("Created", ""),
        started=state.get("StartedAt", ""),
        finished=state.get("FinishedAt", ""),
        image_id=attrs["Image"],
        config_hash=labels.get(_CONFIG_HASH_LABEL, ""),
        folder=labels.get(_WORKING_DIR_LABEL, ""),
        beside_web=_PROCESS_LABEL in labels,
        tty=bool(config.get("Tty")),
        out_of_memory=bool(state.get("OOMKilled")),
    )
