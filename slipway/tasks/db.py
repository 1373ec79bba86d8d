"""Backups, imports and upgrades of the database."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import JSON, PROD, YES


@task(name="backup", help={**PROD, **JSON, "label": "added to the name"})
def db_backup(c: Context, label: str = "", json: bool = False, prod: bool = False) -> None:
    """Back up database and media."""
    from slipway.backup import backup

    backup.make(session.begin(c, prod), label, as_json=json)


@task(name="backups", help={**PROD, **JSON, "remote": "those in the S3-compatible store"})
def db_backups(c: Context, remote: bool = False, json: bool = False, prod: bool = False) -> None:
    """List backups and the dumps of deploys."""
    from slipway.backup import backup

    backup.show(session.begin(c, prod), remote=remote, as_json=json)


@task(name="fetch", help={**PROD, "name": "as db.backups --remote shows it, or: latest"})
def db_fetch(c: Context, name: str, prod: bool = False) -> None:
    """Bring a backup back from the S3-compatible store."""
    from slipway.backup import backupstore

    backupstore.fetch(session.begin(c, prod), name)


@task(
    name="restore",
    help={
        **PROD,
        **YES,
        "name": "as db.backups shows it, or: latest",
        "from-project": "the stack that the backup is from, if it is another one",
    },
)
def db_restore(c: Context, name: str, from_project: str = "", yes: bool = False, prod: bool = False) -> None:
    """Replace database and media with a backup."""
    from slipway.backup import backuprestore

    backuprestore.restore(session.begin(c, prod), name, from_project=from_project, yes=yes)


@task(name="import", help={**PROD, **YES, "file": "of pg_dump: plain SQL (.gz too), custom or tar format"})
def db_import(c: Context, file: str, yes: bool = False, prod: bool = False) -> None:
    """Replace the database with another site's dump."""
    from slipway.backup import importing

    importing.import_database(session.begin(c, prod), file, yes=yes)


@task(name="verify", help={**PROD, **JSON, "name": "as db.backups shows it, or: latest"})
def db_verify(c: Context, name: str, json: bool = False, prod: bool = False) -> None:
    """Prove a backup by restoring it into throw-away containers."""
    from slipway.backup import backupverify

    backupverify.verify(session.begin(c, prod), name, as_json=json)


@task(name="prune", help={**PROD, **YES, **JSON})
def db_prune(c: Context, yes: bool = False, json: bool = False, prod: bool = False) -> None:
    """Show, then remove, the backups that BACKUP_KEEP_* do not keep."""
    from slipway.backup import backupprune

    backupprune.prune(session.begin(c, prod), yes=yes, as_json=json)


@task(
    name="upgrade",
    help={
        **PROD,
        **YES,
        "to": "the major version, 18 for example",
        "image": "its image, if the kit cannot derive it from the current one",
        "discard-old": "delete the old database that an upgrade has kept (asks first)",
    },
)
def db_upgrade(
    c: Context,
    to: str = "",
    image: str = "",
    discard_old: bool = False,
    yes: bool = False,
    prod: bool = False,
) -> None:
    """Bring the database to another major version of PostgreSQL."""
    from slipway.pgupgrade import upgrade

    work = session.begin(c, prod)
    if discard_old:
        upgrade.discard_old(work, yes=yes)
    else:
        upgrade.upgrade(work, to, image, yes=yes)


collection = Collection(
    "db", db_backup, db_backups, db_fetch, db_restore, db_import, db_verify, db_prune, db_upgrade,
)  # fmt: skip
