"""What is pure in the migration lock, and the judgement of operations; the rest is in tests/migrations."""

from __future__ import annotations

import datetime
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kitfiles import load

lock = load("migrate_lock")
warnings = load("migrate_warnings")
back = load("migrate_back")


def operation(kind: str, module: str = "django.db.migrations.operations", **values: Any) -> Any:
    """An operation as Django's class ``kind`` looks: its attributes, their lower case, no effect."""
    lowered = {
        f"{name}_lower": value.lower()
        for name, value in values.items()
        if name in {"name", "model_name", "old_name", "new_name"}
    }
    own = type(kind, (), {"__module__": module, "state_forwards": lambda *_: None})()
    vars(own).update({**lowered, **values})
    return own


def field(**values: Any) -> Any:
    """A model's field: a nullable column with a name of its own, unless said otherwise."""
    return SimpleNamespace(**{"null": True, "many_to_many": None, "db_column": None, **values})


def judged(*operations: Any, backwards: bool = False, options: dict[str, Any] | None = None) -> list[str]:
    """The warnings about one migration of the app `shop`, which has the model Order."""
    fields = {"note": field(), "paid": field(null=False), "tags": field(many_to_many=True)}
    fields["ref"] = field(db_column="reference")
    state = SimpleNamespace(
        models={("shop", "order"): SimpleNamespace(fields=fields, options=options or {})},
    )
    state.clone = lambda: state
    migration = SimpleNamespace(app_label="shop", name="0002_next", operations=operations)
    return warnings.plan_warnings([(migration, backwards)], state)


REQUIRED = operation("AddField", model_name="Order", name="total", field=field(null=False))
NOOP = SimpleNamespace(__name__="noop")


@pytest.mark.parametrize(
    ("unsafe", "said"),
    [
        (operation("RemoveField", model_name="Order", name="note"), "removes the column Order.note"),
        (operation("RemoveField", model_name="Order", name="tags"), "removes the table of Order.tags"),
        (operation("DeleteModel", name="Order"), "removes the table of Order"),
        (
            operation("RenameField", model_name="Order", old_name="note", new_name="text"),
            "Order.note to text",
        ),
        (operation("RenameModel", old_name="Order", new_name="Sale"), "table of Order to that of Sale"),
        (operation("AlterModelTable", name="Order", table="sales"), "renames the table shop_order to sales"),
        (REQUIRED, "adds the column Order.total NOT NULL without db_default"),
        (
            operation("AlterField", model_name="Order", name="note", field=field(null=False)),
            "makes the column Order.note NOT NULL",
        ),
        (
            operation("AlterField", model_name="Order", name="note", field=field(db_column="n")),
            "renames the column of Order.note",
        ),
        (operation("RunPython", code=print, reverse_code=None), "RunPython: cannot be judged"),
        (operation("RunSQL", sql="DELETE FROM x", reverse_sql=None), "RunSQL: cannot be judged"),
        (operation("Partition", "shop.operations"), "Partition: an operation that is not Django's"),
        (
            operation("SeparateDatabaseAndState", database_operations=[REQUIRED]),
            "adds the column Order.total NOT NULL",
        ),
    ],
)
def test_an_unsafe_operation_is_named(unsafe: Any, said: str) -> None:
    """Red when its line is taken out of the judgement."""
    found = judged(unsafe)
    assert len(found) == 1
    assert found[0].startswith("shop.0002_next: ") and said in found[0]


@pytest.mark.parametrize(
    "safe",
    [
        operation("AddField", model_name="Order", name="total", field=field()),
        operation("AddField", model_name="Order", name="total", field=field(null=False, db_default=0)),
        operation("AddField", model_name="Order", name="sum", field=field(null=False, generated=True)),
        operation("AddField", model_name="Order", name="to", field=field(null=False, many_to_many=True)),
        operation("AlterField", model_name="Order", name="paid", field=field(null=False)),
        operation("RenameField", model_name="Order", old_name="ref", new_name="number"),
        operation("AlterModelTable", name="Order", table="shop_order"),
        operation("RunPython", code=NOOP, reverse_code=print),
        operation("RunSQL", sql="", reverse_sql="DELETE FROM x"),
        operation("AddIndex", model_name="Order"),
        operation("SeparateDatabaseAndState", database_operations=[], state_operations=[REQUIRED]),
    ],
)
def test_a_safe_operation_is_not(safe: Any) -> None:
    """Red when the judgement looks at the class alone."""
    assert judged(safe) == []


@pytest.mark.parametrize("options", [{"managed": False}, {"proxy": True}])
def test_a_model_without_a_table_is_not_judged(options: dict[str, Any]) -> None:
    """Red when ``options`` are not looked at."""
    assert judged(REQUIRED, operation("DeleteModel", name="Order"), options=options) == []


def test_a_kept_table_name_makes_renaming_a_model_safe() -> None:
    """Red when ``db_table`` is not looked at."""
    renamed = operation("RenameModel", old_name="Order", new_name="Sale")
    assert judged(renamed, options={"db_table": "orders"}) == []


def test_a_table_the_plan_creates_is_used_by_no_old_code() -> None:
    """Red when ``created`` is not kept."""
    assert judged(operation("CreateModel", name="Order"), REQUIRED) == []


def test_a_reversed_operation_is_judged_by_what_it_undoes() -> None:
    """Red when the direction is ignored."""
    created = operation("CreateModel", name="Order")
    assert judged(created, REQUIRED, backwards=True) == [
        "shop.0002_next: reversed, it removes the table of Order",
        "shop.0002_next: reversed, it removes the column Order.total",
    ]
    assert judged(operation("RunPython", code=print, reverse_code=NOOP), backwards=True) == []


def test_a_table_of_many_to_many_is_called_a_table() -> None:
    """Red when whoever takes it back is told of a column."""
    friends = operation("AddField", model_name="Order", name="friends", field=field(many_to_many=True))
    said = "shop.0002_next: reversed, it removes the table of Order.friends"
    assert judged(friends, backwards=True) == [said]


@pytest.mark.parametrize(
    ("reversed_one", "verdict"),
    [
        (operation("AddField", reversible=True, model_name="Order", name="sum", field=field()), "loses"),
        (
            operation(
                "AddField", reversible=True, model_name="Order", name="sum", field=field(generated=True)
            ),
            "clean",
        ),
        (operation("AddIndex", reversible=True, model_name="Order"), "clean"),
        (operation("RunPython", reversible=False, code=print, reverse_code=None), "irreversible"),
        (operation("RunPython", reversible=True, code=print, reverse_code=print), "unjudged"),
        (operation("RunPython", reversible=True, code=print, reverse_code=NOOP), "clean"),
        (operation("RunSQL", reversible=True, sql="x", reverse_sql="y"), "unjudged"),
        (operation("Partition", "shop.operations", reversible=True), "unjudged"),
        (operation("Partition", "shop.operations", reversible=False), "irreversible"),
        (operation("DeleteModel", reversible=True, name="Order"), "loses"),
        (operation("RemoveField", reversible=True, model_name="Order", name="note"), "loses"),
        (
            operation("AlterOrderWithRespectTo", reversible=True, name="Order", order_with_respect_to="a"),
            "loses",
        ),
        (operation("RenameModel", reversible=True, old_name="Order", new_name="Sale"), "clean"),
    ],
)
def test_a_migration_has_the_verdict_of_its_worst_operation(reversed_one: Any, verdict: str) -> None:
    """Red when a judgement is dropped; with harmless ones around it, red when the last one decides."""
    harmless = operation("AddIndex", reversible=True, model_name="Order")
    order = SimpleNamespace(fields={}, options={})
    migration = SimpleNamespace(
        app_label="shop", name="0002_next", replaces=[], operations=[harmless, reversed_one, harmless]
    )
    loader = SimpleNamespace(
        disk_migrations={("shop", "0002_next"): migration},
        graph=SimpleNamespace(nodes={("shop", "0002_next")}),
        project_state=lambda _pair, at_end: SimpleNamespace(models={("shop", "order"): order}),
    )
    [told] = back.reversals(loader, ["shop.0002_next"])
    assert told["verdict"] == verdict
    assert bool(told["detail"]) is (verdict != "clean")


def test_the_key_is_the_same_for_ever() -> None:
    """Two releases must wait for each other: red when the key changes."""
    assert lock.LOCK_KEY == 0x534C4950574159
    assert 2**32 < lock.LOCK_KEY < 2**63


@pytest.mark.parametrize(("text", "seconds"), [("300s", 300), ("20", 20), ("", 300), (None, 300)])
def test_the_timeout_is_read_as_seconds(text: str | None, seconds: int) -> None:
    """Red when the unit is not taken off, or empty is not the default."""
    assert lock.lock_timeout(text) == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "5m", "s"])
def test_another_timeout_is_refused(text: str) -> None:
    """Red when it ends in a ValueError, or counts as zero."""
    with pytest.raises(lock.LockError, match=r"SLIP-006.*MIGRATE_LOCK_TIMEOUT.*300s"):
        lock.lock_timeout(text)


def test_a_holder_is_described_by_what_the_server_tells() -> None:
    """Red when a column that PostgreSQL hides from this user becomes a None in the line."""
    since = datetime.datetime(2026, 3, 2, 10, 15, 7, tzinfo=datetime.UTC)
    assert lock.describe((71, "psql", "app", since)).startswith("psql (pid 71, user app, since 2026-03-02")
    assert lock.describe((71, "", "app", None)) == "a session without a name (pid 71, user app)"


def test_the_session_name_fits_into_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when a long release id is cut by the server, with a notice in every log."""
    monkeypatch.setenv("RELEASE", "r" * 100)
    assert len(lock.session_name()) == 63
    monkeypatch.setenv("RELEASE", "r-1")
    assert lock.session_name().startswith("slipway migrate r-1 on ")


def test_two_runs_on_one_sqlite_file_are_one_after_the_other(tmp_path: Path) -> None:
    """Red when the lock is not taken, or is kept after the block."""
    file = str(tmp_path / "db.sqlite3")
    said: list[str] = []
    with lock.sqlite_lock(file, 0, said.append):
        with pytest.raises(lock.LockError, match="SLIP-086"), lock.sqlite_lock(file, 0, said.append):
            pytest.fail("two at once")
        # SQLite's own locks are others.
        with sqlite3.connect(file) as connection:
            connection.execute("CREATE TABLE one (id)")
    with lock.sqlite_lock(file, 0), lock.sqlite_lock(":memory:", 0), lock.sqlite_lock(":memory:", 0):
        assert sqlite3.connect(file).execute("SELECT count(*) FROM one").fetchone() == (0,)
