"""``invoke --list`` by purpose: Invoke sorts tasks by name, users look for a purpose."""

from __future__ import annotations

from invoke.collection import Collection
from invoke.program import Program
from invoke.util import helpline

__all__ = ["menu"]


def menu(**groups: Collection) -> Collection:
    """Return a root collection with the tasks of every group, listed under the groups' names, in this order.

    A named group prefixes its tasks: ``db.backup``. Tasks added to the root afterwards are listed last, as
    ``own``; one with the name of an earlier task replaces it.
    """

    def list_by_group(program: Program) -> None:
        flat = {name for group in groups.values() if not group.name for name in group.tasks}
        own = Collection()
        own.tasks.update({name: task for name, task in root.tasks.items() if name not in flat})
        for title, group in {**groups, **({"own": own} if own.tasks else {})}.items():
            print(f"{title}:")
            prefix = f"{group.name}." if group.name else ""
            members = [(name, task if group.name else root.tasks[name]) for name, task in group.tasks.items()]
            program.print_columns([(f"{prefix}{name}", helpline(task)) for name, task in members])

    # Invoke has no hook for the order of its list; this method prints the default format.
    # It affects no other tasks file: Invoke loads one per process.
    Program.list_flat = list_by_group  # type: ignore[assignment]
    root = Collection()
    for group in groups.values():
        if group.name:
            root.add_collection(group)
            continue
        for task in group.tasks.values():
            root.add_task(task)
    return root
