"""Taking migrations back: what it would lose is told before, and it does all that was asked or nothing."""

from __future__ import annotations

import pytest

from slipway.config.settings import load
from slipway.core.errors import SlipwayError
from slipway.core.run import Runner
from slipway.orchestrators.compose import Stack
from slipway.orchestrators.session import Session
from slipway.services.migrations import Reversal, applied, how_they_reverse, migrate_back
from tests.migrations.conftest import Project
from tests.support.polling import eventually

BASE = {"ledger.0001_initial", "ledger.0002_slow", "ledger.0003_index"}
ADD = "migrations.AddField('applied', '{}', models.TextField(null=True))"


def session_of(project: Project) -> Session:
    return Session(Stack(load(project.root, environ={}), prod=False), Runner())


def write(project: Project, name: str, *operations: str, needs: tuple[str, str] = ("", "")) -> None:
    """Make a migration of `ledger`, after the newest one there is and ``needs``."""
    folder = project.root / "example" / "ledger" / "migrations"
    newest = max(path.stem for path in folder.glob("0*.py") if path.stem < name)
    dependencies = [("ledger", newest), *([needs] if needs[0] else [])]
    (folder / f"{name}.py").write_text(
        "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):\n"
        f"    dependencies = {dependencies}\n    operations = [{', '.join(operations)}]\n"
    )


def recorded(project: Project) -> set[str]:
    """Of `ledger`, by the table itself."""
    return {f"ledger.{name}" for name in project.applied()}


def columns(project: Project) -> list[str]:
    """Of ledger's table, the ones that the tests add."""
    query = "select column_name from information_schema.columns where table_name = 'ledger_applied'"
    return sorted(set(project.sql(query).split()) - {"id", "name", "note"})


def back(project: Project, *names: str) -> None:
    own = session_of(project)
    migrate_back(own, own.stack, names)


def test_how_each_one_reverses_is_told(project: Project) -> None:
    """Red when an operation's judgement is dropped, or the worst of a migration does not decide."""
    write(project, "0004_column", ADD.format("extra"))
    index = "migrations.AddIndex('applied', models.Index(fields=['note'], name='ledger_note'))"
    told = "migrations.AlterField('applied', 'note', models.TextField(null=True, help_text='x'))"
    write(project, "0005_clean", index, told, "migrations.RenameField('applied', 'note', 'remark')")
    write(project, "0006_code", "migrations.RunSQL('SELECT 1', 'SELECT 2')", ADD.format("more"))
    hidden = "migrations.SeparateDatabaseAndState(database_operations=[migrations.RunSQL('SELECT 1')])"
    write(project, "0007_forward", "migrations.RemoveField('applied', 'remark')", hidden)
    keyed = "models.ManyToManyField('ledger.applied')"
    fields = "[('id', models.BigAutoField(primary_key=True))]"
    write(
        project,
        "0008_many",
        f"migrations.AddField('applied', 'friends', {keyed})",
        f"migrations.CreateModel('Fresh', {fields})",
        f"migrations.CreateModel('Foreign', {fields}, options={{'managed': False}})",
        "migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop)",
    )
    write(project, "0009_type", "migrations.AlterField('applied', 'extra', models.IntegerField(null=True))")
    own = session_of(project)
    names = [
        "ledger.0009_type", "ledger.0008_many", "ledger.0007_forward", "ledger.0006_code",
        "ledger.0005_clean", "ledger.0004_column", "ledger.0002_slow", "ledger.0099_gone", "nonsense",
    ]  # fmt: skip
    assert how_they_reverse(own, own.stack, names) == [
        Reversal(names[0], "unjudged", "AlterField: converts applied.extra back"),
        Reversal(names[1], "loses", "removes the table of applied.friends; removes the table of Fresh"),
        Reversal(names[2], "irreversible", "brings applied.remark back, empty; RunSQL has no reverse"),
        Reversal(names[3], "loses", "RunSQL: cannot be judged; removes the column applied.more"),
        Reversal(names[4], "clean", ""),
        Reversal(names[5], "loses", "removes the column applied.extra"),
        Reversal(names[6], "clean", ""),
        Reversal(names[7], "unknown", "this image has no such migration"),
        Reversal(names[8], "unknown", "this image has no such migration"),
    ]
    assert project.sql("select to_regclass('django_migrations')") == ""


def test_exactly_the_named_are_unapplied_in_the_right_order(project: Project) -> None:
    """Red when they are unapplied in the order given, or others with them."""
    write(project, "0004_column", ADD.format("extra"))
    reverse = "migrations.RunSQL('SELECT 1', 'SELECT id FROM guestbook_entry')"
    write(project, "0005_more", ADD.format("more"), reverse, needs=("guestbook", "0001_initial"))
    project.invoke("migrate")
    own = session_of(project)
    before = applied(own, own.stack)
    assert recorded(project) == BASE | {"ledger.0004_column", "ledger.0005_more"}
    assert {name for name in before if name.startswith("ledger.")} == recorded(project)

    back(project, "guestbook.0001_initial", "ledger.0005_more")
    assert before - applied(own, own.stack) == {"guestbook.0001_initial", "ledger.0005_more"}
    assert columns(project) == ["extra"]
    assert project.sql("select to_regclass('guestbook_entry')") == ""
    assert project.locks() == "0"

    # What is unapplied already is passed over, beside something that is not.
    back(project, "ledger.0005_more", "ledger.0004_column")
    assert columns(project) == [] and recorded(project) == BASE
    project.invoke("migrate")
    assert applied(own, own.stack) == before


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["ledger.0004_column"], "ledger.0005_forward depends on ledger.0004_column"),
        (["ledger.0005_forward"], "ledger.0005_forward is irreversible: RunSQL has no reverse"),
        (["ledger.0006_last", "ledger.0099_gone"], "ledger.0099_gone is unknown"),
        (["ledger.0006_last", "ledger.0007_squashed"], "it stands for others"),
    ],
)
def test_refused_is_refused_as_a_whole(
    project: Project, capfd: pytest.CaptureFixture[str], names: list[str], said: str
) -> None:
    """Red when something is unapplied before the refusal, or the refusal is not made."""
    write(project, "0004_column", ADD.format("extra"))
    write(project, "0005_forward", "migrations.RunSQL('SELECT 1')")
    write(project, "0006_last", ADD.format("last"))
    project.invoke("migrate")
    squashed = project.root / "example" / "ledger" / "migrations" / "0007_squashed.py"
    squashed.write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        '    replaces = [("ledger", "0004_column"), ("ledger", "0005_never")]\n'
        '    dependencies = [("ledger", "0003_index")]\n'
    )
    with pytest.raises(SlipwayError, match="SLIP-088"):
        back(project, *names)
    assert said in capfd.readouterr().err
    assert recorded(project) == BASE | {"ledger.0004_column", "ledger.0005_forward", "ledger.0006_last"}
    assert columns(project) == ["extra", "last"]
    assert project.locks() == "0"


def test_without_a_name_nothing_is_done(project: Project) -> None:
    """Red when `--back` alone is taken for the plain command: everything would be applied."""
    done = project.compose("run", "--rm", "-T", "migrate", "python", "/opt/slipway/migrate.py", "--back")
    assert done.returncode == 2 and "SLIP-088" in done.stderr, done.stderr
    assert project.sql("select to_regclass('django_migrations')") == ""


def test_a_failure_in_the_middle_leaves_what_is_recorded(project: Project) -> None:
    """Red when the exit code is lost, or a migration is half unapplied."""
    write(project, "0004_column", ADD.format("extra"))
    failing = "migrations.RunSQL('SELECT 1', 'SELECT no_such_column')"
    # Reversed, the failing operation comes after the one that removes the column.
    write(project, "0005_fails", failing, ADD.format("kept"))
    write(project, "0006_last", ADD.format("last"))
    project.invoke("migrate")
    names = ("ledger.0004_column", "ledger.0005_fails", "ledger.0006_last")
    with pytest.raises(SlipwayError, match="SLIP-060"):
        back(project, *names)
    assert recorded(project) == BASE | {"ledger.0004_column", "ledger.0005_fails"}
    assert columns(project) == ["extra", "kept"]
    eventually(lambda: project.locks() == "0", "the lock is free")

    write(project, "0005_fails", ADD.format("kept"))
    back(project, *names)
    assert recorded(project) == BASE and columns(project) == []


def test_what_is_unapplied_is_recorded_with_it(project: Project) -> None:
    """Red without the transaction around both: a run that dies between the two cannot be repeated."""
    write(project, "0004_column", ADD.format("extra"))
    project.invoke("migrate")
    project.sql(
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'not recorded'; end $$;"
        " create trigger refuse before delete on django_migrations for each row execute function refuse()"
    )
    with pytest.raises(SlipwayError, match="SLIP-060"):
        back(project, "ledger.0004_column")
    assert columns(project) == ["extra"]


def test_a_killed_run_leaves_the_lock_free_and_can_be_repeated(project: Project) -> None:
    """Red without ``end_with_client`` in a run that goes back: its statement goes on for five minutes."""
    write(project, "0004_slow", "migrations.RunSQL('SELECT 1', 'SELECT pg_sleep(300)')", ADD.format("kept"))
    write(project, "0005_last", ADD.format("last"))
    project.invoke("migrate")
    own = Stack(load(project.root, environ={}), prod=False, cwd=project.root)
    argv = own.one_off("migrate", ["python", "/opt/slipway/migrate.py", "--back"])
    process = project.begin([*argv, "ledger.0004_slow", "ledger.0005_last"])
    eventually(project.is_in_the_middle, "it is in the middle")
    assert project.locks() == "1"
    assert project.killed_containers()
    process.communicate(timeout=120)
    assert process.returncode != 0
    eventually(lambda: not project.sessions(), "the server has noticed", timeout=30)
    assert project.locks() == "0"
    assert recorded(project) == BASE | {"ledger.0004_slow"}
    assert columns(project) == ["kept"]

    write(project, "0004_slow", ADD.format("kept"))
    back(project, "ledger.0004_slow", "ledger.0005_last")
    assert recorded(project) == BASE and columns(project) == []
