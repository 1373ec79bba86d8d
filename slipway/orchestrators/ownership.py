"""Which folder owns a stack: two folders with one PROJECT_NAME would replace and delete each other's.

Compose labels containers with the folder they were made from. It does not label volumes, and a later label
would make Compose offer to recreate them. So the kit labels an empty volume of its own: it names the owner
once the containers are gone, and after a take-over until they are recreated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from slipway.config.settings import Settings, record_machine, recorded, unique_name
from slipway.core.errors import SlipwayError
from slipway.core.output import note
from slipway.core.run import Runner
from slipway.engine import engine
from slipway.orchestrators.compose import Stack

__all__ = ["check", "check_moved", "claim", "forget", "is_taken", "named", "same_folder", "take_over", "tell"]


def check(stack: Stack) -> None:
    """Check that the stack is this folder's or has no owner; without an engine nothing can change anyway.

    Raises ``SlipwayError`` SLIP-170 with the folder that owns it, SLIP-171 when the owner of existing volumes
    of its name is unknown.
    """
    try:
        folder = owner(stack.project)
        old = [] if folder else _older_volumes(stack)
    except SlipwayError:
        return
    root, option = stack.settings.root, " --prod" if stack.prod else ""
    way_out = (
        f"set another PROJECT_NAME in {stack.settings.env_file}; or, if {{}}, let this folder take the stack "
        f"over: invoke init --take-over{option}"
    )
    if folder and not same_folder(folder, root):
        gone = "" if Path(folder).exists() else ", which no longer exists"
        raise SlipwayError(
            "SLIP-170",
            f"{stack.project} is the stack of another folder: {folder}{gone}; this is {root}; "
            "nothing was changed",
            way_out.format("that one was moved here"),
        )
    if old:
        raise SlipwayError(
            "SLIP-171",
            f"{stack.project} already has volumes ({', '.join(old)}), older than the secrets of this folder, "
            f"{root}; no container is left that names their folder; nothing was changed",
            way_out.format("they are this folder's"),
        )


def check_moved(stack: Stack, services: Collection[str] = (), *, running: bool) -> None:
    """Check that the containers of ``services`` (default: all) can start; with ``running`` also running ones.

    Raises ``SlipwayError`` SLIP-173 with the folder that they were made from and that no longer exists.
    """
    moved = [
        container
        for container in engine.containers(stack.project)
        if container.is_moved
        and (not services or container.service in services)
        and (running or container.state != "running")
    ]
    if moved:
        names = ", ".join(sorted({container.service for container in moved}))
        raise SlipwayError(
            "SLIP-173",
            f"{names} cannot start again: the files were in {moved[0].folder}, which no longer exists",
            f"invoke up{' --prod' if stack.prod else ''} makes new containers from {stack.settings.root}",
        )


def tell(stack: Stack) -> None:
    """Print on stderr why ``check`` would refuse a task that changes the stack; this task only looks."""
    try:
        check(stack)
    except SlipwayError as refused:
        note(f"warning: {refused.slip_code}: {refused.problem}; fix: {refused.fix}")


def claim(stack: Stack, runner: Runner, *, creates: bool) -> None:
    """Record that the stack is this folder's if it exists or the task ``creates`` it."""
    record_machine(stack.settings.root, {"NAME_IS_NEW": ""})
    try:
        marked = engine.folder_of_volume(_marker(stack.project))
        if marked and same_folder(marked, stack.settings.root):
            return
        if not (creates or _is_there(stack.project)):
            return
    except SlipwayError:
        return
    _mark(stack, runner, marked)


def take_over(stack: Stack, runner: Runner) -> None:
    """Make this folder the owner of the stack."""
    if runner.dry:
        _mark(stack, runner, "")
        return
    folder = owner(stack.project)
    record_machine(stack.settings.root, {"NAME_IS_NEW": ""})
    _mark(stack, runner, engine.folder_of_volume(_marker(stack.project)))
    came = f", and no longer {folder}'s" if folder and not same_folder(folder, stack.settings.root) else ""
    note(f"{stack.project} is the stack of {stack.settings.root} from now on{came}")
    if engine.folders(stack.project):
        note(f"next: invoke up{' --prod' if stack.prod else ''}, which recreates its containers from here")


def forget(stack: Stack, runner: Runner) -> None:
    """Remove the record of the stack's owner, after its data was deleted."""
    if not runner.dry and engine.folder_of_volume(_marker(stack.project)):
        runner.run(["docker", "volume", "rm", _marker(stack.project)])


def owner(project: str) -> str:
    """Return the folder that owns a stack; empty when there is no such stack or its owner is unknown.

    Raises ``SlipwayError`` when the engine does not answer.
    """
    made = engine.folders(project)
    marked = engine.folder_of_volume(_marker(project))
    # Without containers and volumes there is nothing to protect.
    if marked and (made or engine.volumes(project)):
        return marked
    return made[0] if made else ""


def named(settings: Settings) -> Settings:
    """Return the settings; where the kit may choose the name, with one that no other folder's stacks have."""
    if settings.is_set_by_hand("PROJECT_NAME"):
        return settings
    known = recorded(settings.root)
    if "KIT_ROOT" in known and "NAME_IS_NEW" not in known:
        return settings
    if not is_taken(settings.name, settings.root):
        return settings
    name = unique_name(settings.root)
    note(f"{settings.name} is the name of another folder's stacks; this folder's are called {name}")
    return dataclasses.replace(settings, name=name)


def is_taken(name: str, root: Path) -> bool:
    """Whether another folder than ``root`` has stacks of that name, as far as the engine knows."""
    try:
        owners = [owner(f"{name}-{mode}") for mode in ("dev", "prod")]
    except SlipwayError:
        return False
    return any(folder and not same_folder(folder, root) for folder in owners)


def same_folder(one: str | Path, other: str | Path) -> bool:
    """Whether two paths lead to one folder: by a link, or by a bind mount."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return Path(one).resolve() == Path(other).resolve()


def _marker(project: str) -> str:
    return f"{project}_folder"


def _mark(stack: Stack, runner: Runner, marked: str) -> None:
    name = _marker(stack.project)
    # A label cannot be changed.
    if marked:
        runner.run(["docker", "volume", "rm", name], answer=True)
    label = f"{engine.FOLDER_LABEL}={stack.settings.root}"
    runner.run(["docker", "volume", "create", "--label", label, name], answer=True)


def _is_there(project: str) -> bool:
    return bool(engine.folders(project) or engine.volumes(project))


def _older_volumes(stack: Stack) -> list[str]:
    """Return the stack's volumes that are older than this folder's secrets, which `init` creates."""
    folder = stack.settings.path(stack.settings.secrets_dir)
    # In whole seconds, like the engine's times of volumes.
    times = (
        [int(path.stat().st_mtime) for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    )
    return [
        name
        for name, created in engine.volumes(stack.project).items()
        if not times or datetime.fromisoformat(created).timestamp() < min(times)
    ]
