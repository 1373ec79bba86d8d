"""Find operations of a migration plan that break code of the previous release that still runs.

The database serves old and new code for a while: during a rolling start, and after a rollback. An
operation is safe if the old code's queries still work after it. Judged by the names of the operation's
classes, without importing Django, so that a subclass counts as the operation it extends.
"""


def plan_warnings(plan, state):
    """Return one line per operation of ``plan`` that is unsafe, or cannot be judged.

    ``plan`` is Django's: pairs of a migration and whether it is reversed; ``state`` the ProjectState
    before it, which is changed. No old code uses tables that the plan itself creates.
    """
    lines = []
    created = set()
    for migration, backwards in plan:
        for operation in migration.operations:
            if backwards:
                problems = _judge_reversed(operation)
            else:
                problems = _judge(operation, migration.app_label, state, created)
                operation.state_forwards(migration.app_label, state)
            lines += [f"{migration.app_label}.{migration.name}: {problem}" for problem in problems]
    return lines


def _judge(operation, app, state, created):
    known = kinds(operation)
    if "SeparateDatabaseAndState" in known:
        return _judge_separate(operation, app, state, created)
    if unknown := without_verdict(operation):
        return [unknown]
    if "CreateModel" in known:
        created.add((app, operation.name_lower))
        return []
    model = _model(operation)
    if (app, model) in created:
        if "RenameModel" in known:
            created.add((app, operation.new_name_lower))
        return []
    before = state.models.get((app, model))
    if before is None or without_table(operation, app, state):
        return []
    problem = next((judge(operation, before, app) for kind, judge in _JUDGES.items() if kind in known), None)
    return [problem] if problem else []


def _model(operation):
    if "RenameModel" in kinds(operation):
        return operation.old_name_lower
    return getattr(operation, "model_name_lower", None) or getattr(operation, "name_lower", None)


def without_table(operation, app, state):
    """Return whether the operation's model has no table of ours: a proxy, or an unmanaged one.

    ``state`` is the one before it, without a model that it creates.
    """
    model = state.models.get((app, _model(operation)), operation)
    options = getattr(model, "options", None) or {}
    return bool(options.get("proxy")) or not options.get("managed", True)


def _judge_reversed(operation):
    """Judge without the state: after the operation, it lacks the fields that come back."""
    if "SeparateDatabaseAndState" in kinds(operation):
        return [line for part in operation.database_operations for line in _judge_reversed(part)]
    if unknown := without_verdict(operation, backwards=True):
        return [unknown]
    return [f"reversed, it {text}" for text in reversed_text(operation)]


def reversed_text(operation):
    """Return the effect of reversing it on tables and columns, as a list of no or one text."""
    known = kinds(operation)
    return [text(operation) for kind, text in _REVERSED.items() if kind in known]


def _judge_separate(operation, app, state, created):
    """Only its database operations touch the database; they see the state that each one leaves."""
    lines = []
    inner = state.clone()
    for part in operation.database_operations:
        lines += _judge(part, app, inner, created)
        part.state_forwards(app, inner)
    return lines


def without_verdict(operation, *, backwards=False):
    """Return why the operation's effect cannot be judged, or None."""
    known = kinds(operation)
    if "RunPython" in known:
        code = operation.reverse_code if backwards else operation.code
        return None if getattr(code, "__name__", "") == "noop" else "RunPython: cannot be judged"
    if "RunSQL" in known:
        return "RunSQL: cannot be judged" if (operation.reverse_sql if backwards else operation.sql) else None
    modules = {kind.__module__ for kind in type(operation).__mro__} - {"django.db.migrations.operations.base"}
    if not any(module.startswith("django.") for module in modules):
        return f"{type(operation).__name__}: an operation that is not Django's, cannot be judged"
    return None


def _remove_field(operation, before, _app):
    if getattr(before.fields[operation.name], "many_to_many", False):
        return f"removes the table of {operation.model_name}.{operation.name}, which old code may still use"
    return f"removes the column {operation.model_name}.{operation.name}, which old code still reads"


def _delete_model(operation, _before, _app):
    return f"removes the table of {operation.name}, which old code may still use"


def _rename_field(operation, before, _app):
    if getattr(before.fields[operation.old_name], "db_column", None):
        return None
    return (
        f"renames the column {operation.model_name}.{operation.old_name} to {operation.new_name}; "
        "old code does not know the new name"
    )


def _rename_model(operation, before, _app):
    if before.options.get("db_table"):
        return None
    return (
        f"renames the table of {operation.old_name} to that of {operation.new_name}; "
        "old code does not know the new name"
    )


def _alter_table(operation, before, app):
    default = f"{app}_{operation.name_lower}"
    old, new = before.options.get("db_table") or default, operation.table or default
    return None if old == new else f"renames the table {old} to {new}; old code does not know the new name"


def _add_field(operation, _before, _app):
    field = operation.field
    if field.null or field.many_to_many or getattr(field, "generated", False) or _has_db_default(field):
        return None
    # Django's `default` is no help: the column loses it again when the migration is done.
    return (
        f"adds the column {operation.model_name}.{operation.name} NOT NULL without db_default; "
        "old code cannot insert rows"
    )


def _alter_field(operation, before, _app):
    old, new = before.fields[operation.name], operation.field
    column = f"{operation.model_name}.{operation.name}"
    if (old.db_column or operation.name) != (new.db_column or operation.name):
        return f"renames the column of {column}; old code does not know the new name"
    if old.null and not new.null:
        return f"makes the column {column} NOT NULL; old code may still store NULL"
    return None


def _has_db_default(field):
    # Django has db_default since 5.0; "none given" is a class of its own there.
    default = getattr(field, "db_default", None)
    return default is not None and getattr(default, "__name__", "") != "NOT_PROVIDED"


def kinds(operation):
    """Return the names of the operation's class and of all that it extends."""
    return {kind.__name__ for kind in type(operation).__mro__}


_JUDGES = {
    "RemoveField": _remove_field,
    "DeleteModel": _delete_model,
    "RenameField": _rename_field,
    "RenameModel": _rename_model,
    "AlterModelTable": _alter_table,
    "AddField": _add_field,
    "AlterField": _alter_field,
}

_REVERSED = {
    "CreateModel": lambda operation: f"removes the table of {operation.name}",
    "AddField": lambda operation: (
        f"removes the {'table of' if operation.field.many_to_many else 'column'} "
        f"{operation.model_name}.{operation.name}"
    ),
    "RenameModel": lambda operation: f"renames the table of {operation.new_name} back",
    "RenameField": lambda operation: f"renames the column {operation.model_name}.{operation.new_name} back",
    "AlterModelTable": lambda operation: f"renames the table of {operation.name} back",
}
