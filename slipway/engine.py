"""What the engine knows: states, health, ports, sizes and labelled objects.

Everything that changes the engine goes through the ``docker`` command line, where people can see and
repeat it; here it is only asked, through ``engineapi``. Compose is not an object of the Engine API: its
containers are found by the labels Compose puts on them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway import engineapi
from slipway.engineapi import NotFoundError
from slipway.errors import SlipwayError

__all__ = [
    "ContainerState",
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
RELEASE_LABEL = "slipway.release"  # as the Dockerfile's target `web` has it, and no other
_PROCESS_LABEL = "slipway.process"  # as compose/process-*.yaml have it
_CONFIG_HASH_LABEL = "com.docker.compose.config-hash"
_ONE_OFF_LABEL = "com.docker.compose.oneoff"
_VOLUME_LABEL = "com.docker.compose.volume"
_POLL_SECONDS = 0.2
_HEADER = 8  # bytes in front of each piece of a log
_START_SECONDS = 60  # more than passes between the making of a container and its start


@dataclass(frozen=True)
class ContainerState:
    """One container as the engine reports it.

    ``health`` is empty when it has no health check; ``error`` is why the engine could not start it.
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
    """When it was created, and when it was last started; both as the engine writes it, so that they sort."""
    started: str = ""
    image_id: str = ""
    config_hash: str = ""
    """Compose's digest of the service's configuration when it created this container."""
    beside_web: bool = False
    """Whether it is one of the processes beside web (``extraprocesses``)."""
    tty: bool = False
    """Whether it has a terminal; its log is one stream then."""
    out_of_memory: bool = False
    """Whether the kernel ended it because it had reached its memory limit."""

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
            broken or bool(self.error) or self.state in {"dead", "restarting"} or self.health == "unhealthy"
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
    """What a prune would remove: names per kind, and the bytes it would free."""

    containers: tuple[str, ...]
    images: tuple[str, ...]
    networks: tuple[str, ...]
    volumes: tuple[str, ...]
    size: int


@functools.cache
def facts() -> dict[str, Any]:
    """What the engine says of itself and its machine, which need not be this one."""
    return dict(engineapi.get("/info"))


def processors() -> int:
    """How many processors the engine's machine has."""
    return int(facts()["NCPU"])


def containers(project: str, service: str = "", *, one_off: bool = False) -> list[ContainerState]:
    """Every container of a Compose project, or of one ``service``, running or not, by service and number.

    Containers of ``run`` and ``exec`` tasks (one-off ones) only with ``one_off``.
    """
    labels = [f"{SERVICE_LABEL}={service}"] if service else []
    found = [c for c in _listed(project, *labels) if one_off or c["Labels"].get(_ONE_OFF_LABEL) != "True"]
    # A one-off that ends meanwhile (`run --rm`) is none of them.
    states = [state for each in found if (state := container(each["Id"]))]
    return sorted(states, key=lambda state: (state.service, state.name))


def _listed(project: str, *labels: str, **filters: list[str]) -> list[dict[str, Any]]:
    """A Compose project's containers, running or not, as the engine lists them; of those with ``labels``."""
    wanted = {"label": [f"{PROJECT_LABEL}={project}", *labels], **filters}
    return list(engineapi.get("/containers/json", all=True, filters=wanted))


def finished_one_offs(project: str, services: Collection[str] = ()) -> list[str]:
    """The ids of one-off containers that have ended or never began: what a killed `run --rm` leaves.

    Only those of ``services``, if any are named. One that was made just now is about to be started.
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
    found = _listed(project, f"{SERVICE_LABEL}={service}", status=["running"])
    return any(c["Labels"].get(_ONE_OFF_LABEL) != "True" for c in found)


def logs(state: ContainerState, tail: int) -> list[str]:
    """The last ``tail`` log lines of a container, both streams.

    Of one that has been restarted and runs again, those before that: they say why it ended.
    """
    again = state.restarts and state.state == "running"
    # With the fraction, or what was said in that second is lost.
    until = {"until": f"{datetime.fromisoformat(state.started).timestamp():.6f}"} if again else {}
    path = f"/containers/{state.id}/logs"
    output = engineapi.raw(path, stdout=True, stderr=True, tail=str(tail), **until)
    return (output if state.tty else _without_headers(output)).decode("utf-8", "replace").splitlines()


def _without_headers(stream: bytes) -> bytes:
    """Both streams as one: the engine sends each piece behind eight bytes, the last four its length.

    From the Engine API's reference, "Attach to a container", stream format.
    """
    said = b""
    while len(stream) > _HEADER:
        end = _HEADER + int.from_bytes(stream[4:_HEADER], "big")
        said, stream = said + stream[_HEADER:end], stream[end:]
    return said


def wait(
    project: str,
    services: Iterable[str],
    timeout: float,
    on_change: Callable[[Mapping[str, str]], None],
    *,
    finished: bool = False,
) -> list[ContainerState]:
    """Wait until every container of ``services`` is ready, at most ``timeout`` seconds.

    ``on_change`` is called with the summary per container name, whenever one changes. Returns the last
    states seen: the caller finds the ones not ``ready`` among them. Ends at once when one has failed.
    With ``finished`` a container that runs is not enough: for one-shots, which have no health check.
    """
    wanted = set(services)
    deadline = time.monotonic() + timeout
    shown: dict[str, str] = {}
    while True:
        states = [state for state in containers(project) if state.service in wanted]
        summaries = {state.name: state.summary for state in states}
        if summaries != shown:
            shown = summaries
            on_change(shown)
        complete = wanted <= {state.service for state in states}
        if complete and all(state.ready and (state.state == "exited" or not finished) for state in states):
            return states
        if any(state.failed for state in states) or time.monotonic() > deadline:
            return states
        time.sleep(_POLL_SECONDS)


def publisher(port: int) -> tuple[str, str] | None:
    """The name and the Compose project of the running container that publishes host TCP ``port``.

    The project is empty when Compose has not made it; ``None`` when there is no such container.
    """
    for found in engineapi.get("/containers/json"):
        if any(published.get("PublicPort") == port for published in found["Ports"] or []):
            return str(found["Names"][0]).lstrip("/"), str(found["Labels"].get(PROJECT_LABEL, ""))
    return None


def published(project: str, service: str) -> list[str]:
    """The ``address:port`` pairs on the host that lead to ``service``."""
    return [port for state in containers(project, service) for port in state.ports]


def image_sizes(references: Iterable[str]) -> dict[str, int]:
    """Bytes of each local image among ``references``; absent ones are left out."""
    found = {reference: _image(reference) for reference in references}
    return {reference: image["Size"] for reference, image in found.items() if image}


def _image(reference: str) -> dict[str, Any]:
    """All the engine knows of a local image; empty when there is none."""
    try:
        return dict(engineapi.get(f"/images/{reference}/json"))
    except NotFoundError:
        return {}


def image_id(reference: str) -> str:
    """The id of a local image, empty when there is none."""
    return str(_image(reference).get("Id", ""))


def can_have(reference: str, seconds: int = 20) -> bool:
    """Whether an image is on this machine or its registry answers, within ``seconds``; nothing is pulled.

    Without an engine nothing is known, and the answer is yes.
    """
    try:
        if image_id(reference):
            return True
    except SlipwayError:
        return True
    from docker.errors import DockerException  # noqa: PLC0415  (see engineapi)
    from requests import RequestException  # noqa: PLC0415

    from slipway.pull import Outcome, classify  # noqa: PLC0415

    try:
        engineapi.sdk(seconds).images.get_registry_data(reference)
    except DockerException as answer:
        return classify(1, str(answer)).outcome is Outcome.REFUSED
    except RequestException:
        return False
    return True


def image_label(reference: str, label: str) -> str:
    """The value of a local image's label; empty when there is no such image or label."""
    return str((_config(reference).get("Labels") or {}).get(label, ""))


def image_release(reference: str) -> str:
    """The release a production image of the kit bears in its label; empty for any other image."""
    return image_label(reference, RELEASE_LABEL)


def image_environment(reference: str) -> dict[str, str]:
    """The environment a local image gives its containers; empty when there is no such image."""
    return _environment(_config(reference))


def _config(reference: str) -> dict[str, Any]:
    return dict(_image(reference).get("Config") or {})


def environment(container: str) -> dict[str, str]:
    """The environment of a container, by its id or name."""
    return _environment(_inspected(container)["Config"])


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in config.get("Env") or [])


def mounted_volumes(container: str) -> set[str]:
    """The names of the volumes that a container has."""
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
    """What is no longer used among one project's labelled objects; volumes only when asked."""
    usage = engineapi.get("/system/df")
    idle = [c for c in usage["Containers"] or [] if _labelled(c, project) and c["State"] != "running"]
    images = [
        i
        for i in usage["Images"] or []
        if _labelled(i, project) and not any(_tags(i)) and not i["Containers"]
    ]
    attached = {
        name for c in _listed(project, status=["running"]) for name in c["NetworkSettings"]["Networks"]
    }
    labelled = engineapi.get("/networks", filters={"label": [f"{PROJECT_LABEL}={project}"]})
    networks = [str(n["Name"]) for n in labelled if n["Name"] not in attached]
    in_use = {
        mount["Name"]
        for c in usage["Containers"] or []
        if c not in idle
        for mount in c["Mounts"]
        if mount["Type"] == "volume"
    }
    unused = [
        v for v in usage["Volumes"] or [] if volumes and _labelled(v, project) and v["Name"] not in in_use
    ]
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


def volumes(project: str, name: str = "") -> list[str]:
    """The names of a Compose project's volumes; with ``name`` of those its files call so."""
    labels = [f"{PROJECT_LABEL}={project}", *([f"{_VOLUME_LABEL}={name}"] if name else [])]
    found = engineapi.get("/volumes", filters={"label": labels})["Volumes"] or []
    return sorted(volume["Name"] for volume in found)


def network_is_internal(name: str) -> bool | None:
    """Whether a network has no route out; None when there is no network of that name."""
    # The filter takes parts of names, too.
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
        image_id=attrs["Image"],
        config_hash=labels.get(_CONFIG_HASH_LABEL, ""),
        beside_web=_PROCESS_LABEL in labels,
        tty=bool(config.get("Tty")),
        out_of_memory=bool(state.get("OOMKilled")),
    )
