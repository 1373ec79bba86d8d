"""``invoke --list`` by purpose: Invoke sorts tasks by name, people look for what they want to do."""

from __future__ import annotations

from typing import Any

from invoke.collection import Collection
from invoke.program import Program
from invoke.tasks import Task
from invoke.util import helpline

__all__ = ["menu"]


def menu(**groups: tuple[Task[Any], ...] | Collection) -> Collection:
    """A root collection with the tasks of every group, listed under the groups' names, in this order.

    A group that is a collection gives its name to its tasks: ``db.backup``.
    """

    def list_by_group(program: Program) -> None:
        for group, tasks in groups.items():
            print(f"{group}:")
            prefix = f"{tasks.name}." if isinstance(tasks, Collection) else ""
            members = tasks.tasks.values() if isinstance(tasks, Collection) else tasks
            program.print_columns([(f"{prefix}{task.name}", helpline(task)) for task in members])

    # Invoke has no hook for the order of its list; this is the method that prints the default format.
    # Another tasks file in the same process does not occur: Invoke loads one.
    Program.list_flat = list_by_group  # type: ignore[assignment]
    root = Collection()
    for tasks in groups.values():
        if isinstance(tasks, Collection):
            root.add_collection(tasks)
            continue
        for task in tasks:
            root.add_task(task)
    return root
