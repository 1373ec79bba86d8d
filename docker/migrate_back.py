"""Reverse migrations: the effect of reversing each one, and the plan that unapplies exactly some.

A migration's name is ``app.name``, as people write it; Django's key is the pair.
"""

from migrate_warnings import kinds, reversed_text, without_table, without_verdict

# The mildest first; a migration has the verdict of its worst operation.
VERDICTS = ("clean", "unjudged", "loses", "irreversible", "unknown")
IMPOSSIBLE = ("irreversible", "unknown")


class BackError(Exception):
    """Why these migrations cannot be taken back, and the fix, ready to print."""


def key(name):
    """Return Django's key of ``app.name``; a name has no dot, because it is a module's."""
    return tuple(name.rsplit(".", 1)) if "." in name else (name, "")


def name_of(pair):
    """Return ``app.name`` of Django's key."""
    return ".".join(pair)


def reversals(loader, names):
    """Return one dict per migration named: its ``name``, ``verdict`` and ``detail`` (a text, or empty).

    ``clean``: no stored data is lost. ``loses``: columns or tables are removed, or come back empty.
    ``unjudged``: it is reversed by code that cannot be judged. ``irreversible``: an operation has no
    reverse. ``unknown``: no such migration here can be reversed alone.
    """
    return [{"name": name, **_judge(loader, key(name))} for name in names]


def _judge(loader, pair):
    migration = loader.disk_migrations.get(pair)
    if migration is None:
        return {"verdict": "unknown", "detail": "this image has no such migration"}
    if migration.replaces:
        return {"verdict": "unknown", "detail": "it stands for others (a squashed migration)"}
    if pair not in loader.graph.nodes:
        return {"verdict": "unknown", "detail": "a squashed migration has taken its place"}
    state = loader.project_state(pair, at_end=False)
    found = _operations(migration.operations, migration.app_label, state)
    worst = max((verdict for verdict, _ in found), key=VERDICTS.index, default="clean")
    return {"verdict": worst, "detail": "; ".join(dict.fromkeys(text for _, text in found))}


def _operations(operations, app, state):
    """Return (verdict, text) of each operation that is not clean; ``state``, before them, is changed."""
    found = []
    for operation in operations:
        if "SeparateDatabaseAndState" in kinds(operation):
            found += _operations(operation.database_operations, app, state.clone())
        else:
            found += _operation(operation, app, state)
        operation.state_forwards(app, state)
    return found


def _operation(operation, app, before):
    if not operation.reversible:
        return [("irreversible", f"{type(operation).__name__} has no reverse")]
    if unjudged := without_verdict(operation, backwards=True):
        return [("unjudged", unjudged)]
    if without_table(operation, app, before):
        return []
    found = [judge(operation, app, before) for kind, judge in _JUDGES.items() if kind in kinds(operation)]
    return [one for one in found if one]


def _created(operation, _app, _before):
    # The database computes a generated field again.
    if getattr(getattr(operation, "field", None), "generated", False):
        return None
    return "loses", reversed_text(operation)[0]


def _deleted_model(operation, _app, _before):
    return "loses", f"brings the table of {operation.name} back, empty"


def _removed_field(operation, _app, _before):
    return "loses", f"brings {operation.model_name}.{operation.name} back, empty"


def _ordered(operation, _app, _before):
    return ("loses", f"removes the order of {operation.name}") if operation.order_with_respect_to else None


def _altered_field(operation, app, before):
    old = before.models[app, operation.model_name_lower].fields[operation.name]
    if _type(old) == _type(operation.field):
        return None
    return "unjudged", f"AlterField: converts {operation.model_name}.{operation.name} back"


def _type(field):
    """Return what a conversion of values depends on; not the length: PostgreSQL refuses to cut values."""
    _name, path, _arguments, options = field.deconstruct()
    return path, options.get("decimal_places")


_JUDGES = {
    "CreateModel": _created,
    "AddField": _created,
    "DeleteModel": _deleted_model,
    "RemoveField": _removed_field,
    "AlterOrderWithRespectTo": _ordered,
    "AlterField": _altered_field,
}


def back_plan(executor, forward_plan, names):
    """Return Django's plan that unapplies the migrations of ``names`` that are applied, and no other.

    ``forward_plan`` is that of a new database; this plan has the reverse order. Raises BackError when one of
    them cannot be reversed, or when one that is not named depends on one of them.
    """
    loader = executor.loader
    applied = {pair for pair in loader.applied_migrations if pair in loader.graph.nodes}
    wanted = {key(name) for name in names}
    problems = [
        f"{one['name']} is {one['verdict']}: {one['detail']}"
        for one in reversals(loader, names)
        if one["verdict"] == "unknown" or (one["verdict"] in IMPOSSIBLE and key(one["name"]) in applied)
    ]
    for pair in sorted(wanted & applied):
        dependents = set(loader.graph.backwards_plan(pair)) & applied - wanted
        problems += [f"{name_of(one)} depends on {name_of(pair)}" for one in sorted(dependents)]
    if problems:
        raise BackError(
            f"SLIP-088: these migrations cannot be taken back, and none was: {'; '.join(problems)}; "
            "fix: name what depends on them too, keep the schema, or restore a backup"
        )
    todo = wanted & applied
    return [(one, True) for one, _ in reversed(forward_plan) if (one.app_label, one.name) in todo]
