"""Whose stack it is: two folders with one PROJECT_NAME would replace and delete each other's.

The containers say which folder they were made from, by Compose's own label. A volume does not, and must not
get another label afterwards: Compose would offer to make it anew. So an empty volume of the kit's own says
it once the containers are gone, and after a take-over before they are made anew.
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
    """Return when the stack is this folder's, or nobody's, or no engine answers: nothing can be changed then.

    Raises ``SlipwayError`` SLIP-170 with the folder whose it is, SLIP-171 when nothing tells whose volumes
    of its name are.
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
        gone = "" if Path(folder).exists() else ", which is not there any more"
        raise SlipwayError(
            "SLIP-170",
            f"{stack.project} is the stack of another folder: {folder}{gone}; this is {root}; "
            "nothing was changed",
            way_out.format("that one was moved here"),
        )
    if old:
        raise SlipwayError(
            "SLIP-171",
            f"{stack.project} has volumes already ({', '.join(old)}), older than the secrets of this folder, "
            f"{root}; no container is left to tell which folder they are of; nothing was changed",
            way_out.format("they are this folder's"),
        )


def check_moved(stack: Stack, services: Collection[str] = (), *, running: bool) -> None:
    """Return when the containers of ``services``, or all, can start; with ``running`` also those that run.

    Raises ``SlipwayError`` SLIP-173 with the folder that they were made from and that is gone.
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
            f"{names} cannot start again: the files were in {moved[0].folder}, which is not there any more",
            f"invoke up{' --prod' if stack.prod else ''} makes new containers from {stack.settings.root}",
        )


def tell(stack: Stack) -> None:
    """Say on stderr what ``check`` would refuse a task for that changes the stack: this one only looks."""
    try:
        check(stack)
    except SlipwayError as refused:
        note(f"warning: {refused.slip_code}: {refused.problem}; fix: {refused.fix}")


def claim(stack: Stack, runner: Runner, *, creates: bool) -> None:
    """Write down that the stack is this folder's, where the task ``creates`` one or one is there."""
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
    """Make the stack this folder's, whosever it was."""
    if runner.dry:
        _mark(stack, runner, "")
        return
    folder = owner(stack.project)
    record_machine(stack.settings.root, {"NAME_IS_NEW": ""})
    _mark(stack, runner, engine.folder_of_volume(_marker(stack.project)))
    came = f", and no longer {folder}'s" if folder and not same_folder(folder, stack.settings.root) else ""
    note(f"{stack.project} is the stack of {stack.settings.root} from now on{came}")
    if engine.folders(stack.project):
        note(f"next: invoke up{' --prod' if stack.prod else ''}, which makes its containers anew from here")


def forget(stack: Stack, runner: Runner) -> None:
    """The stack is nobody's: its data are deleted."""
    if not runner.dry and engine.folder_of_volume(_marker(stack.project)):
        runner.run(["docker", "volume", "rm", _marker(stack.project)])


def owner(project: str) -> str:
    """The folder that a stack is of; empty when there is no such stack, or nothing tells.

    Raises ``SlipwayError`` when the engine does not answer.
    """
    made = engine.folders(project)
    marked = engine.folder_of_volume(_marker(project))
    # Where nothing is left there is nothing to protect.
    if marked and (made or engine.volumes(project)):
        return marked
    return made[0] if made else ""


def named(settings: Settings) -> Settings:
    """The settings, with a name that no other folder's stacks have where it is the kit's to choose."""
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
    """Whether another folder than ``root`` has stacks of that name, as far as the engine tells."""
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
    """The stack's volumes that were there before this folder had its secrets, which `init` makes."""
    folder = stack.settings.path(stack.settings.secrets_dir)
    # In whole seconds, as the engine has the times of volumes.
    times = (
        [int(path.stat().st_mtime) for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    )
    return [
        name
        for name, created in engine.volumes(stack.project).items()
        if not times or datetime.fromisoformat(created).timestamp() < min(times)
    ]
