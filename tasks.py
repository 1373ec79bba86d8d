"""Every command of the kit. Each prints the docker command it runs; --prod is the only difference."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.commands.menu import menu
from slipway.core.checkout import ROOT
from slipway.orchestrators import session

PROD = {"prod": "the production stack instead of the development one"}
JSON = {"json": "print JSON, for scripts"}
YES = {"yes": "do not ask"}
SERVICES = {"services": "only these, separated by commas (default: all)"}
ALWAYS_PROD = {"prod": "accepted everywhere; this is always about production"}
ANY_STACK = {"prod": "accepted everywhere; makes no difference here"}


def _list(names: str) -> list[str]:
    return [name for name in names.replace(",", " ").split() if name]


# -- the stack ---------------------------------------------------------------------------------------


@task(
    help={
        "take-over": "make the stack this folder's: the folder it was of has moved here",
        "prod": "with --take-over: the production stack instead of the development one",
    }
)
def init(c: Context, take_over: bool = False, prod: bool = False) -> None:
    """Create missing env files and secrets."""
    work = session.begin(c, prod, create=True, looks=True)
    if take_over:
        from slipway.orchestrators import ownership

        ownership.take_over(work.stack, work.runner)


@task(
    help={
        **ANY_STACK,
        **YES,
        **JSON,
        "path": "the project's folder, anywhere",
        "dry": "only show what would be written",
        "copy": "copy the kit into the project, into a folder of its own, instead of leaving it beside",
        "into": "another name for that folder than slipway",
        "manage-dir": "the folder with manage.py, counted from PATH, where there are several",
    }
)
def adopt(
    c: Context,
    path: str,
    manage_dir: str = "",
    copy: bool = False,
    into: str = "",
    dry: bool = False,
    yes: bool = False,
    json: bool = False,
    prod: bool = False,
) -> None:
    """Scan your project, write .env and app.env."""
    from slipway.commands.adopt import adopt as scan_and_write

    dry = dry or bool(c.config.run.dry)
    folder = into or ("slipway" if copy else "")
    scan_and_write(ROOT, path, dry=dry, yes=yes, as_json=json, manage_dir=manage_dir, into=folder)


@task(help={**PROD, **SERVICES, "no-cache": "build every layer anew"})
def build(c: Context, services: str = "", no_cache: bool = False, prod: bool = False) -> None:
    """Build the images."""
    from slipway.release import lifecycle

    lifecycle.build(session.begin(c, prod, create=True), _list(services), no_cache=no_cache)


@task(
    help={
        **PROD,
        **JSON,
        "scale": "number of web replicas (default: WEB_REPLICAS)",
        "no-build": "start from the images there are",
        "local": "no containers: the project's own server on its embedded database",
    }
)
def up(
    c: Context,
    scale: str = "",
    no_build: bool = False,
    local: bool = False,
    json: bool = False,
    prod: bool = False,
) -> None:
    """Build, start, wait until healthy, print the URL."""
    work = session.begin(c, prod, create=True, looks=local)
    if local:
        from slipway.services.local import up as serve

        serve(work.settings, work.runner)
        return
    from slipway.release import deploy as deploying
    from slipway.release import lifecycle

    lifecycle.up(work, scale=scale, no_build=no_build, as_json=json, bring=deploying.bring)
    if prod and not work.runner.dry:
        deploying.note_start(work)


@task(
    help={
        **ALWAYS_PROD,
        "release": "id of the new release (default: the git revision)",
        "image": "an image that is built already, here or in a registry",
    }
)
def deploy(c: Context, release: str = "", image: str = "", prod: bool = False) -> None:
    """Switch production to what is checked out."""
    from slipway.release import deploy as deploying

    deploying.deploy(session.begin(c, prod=True), release=release, image=image)


@task(help={**ALWAYS_PROD, **JSON})
def releases(c: Context, json: bool = False, prod: bool = False) -> None:
    """What was deployed, when, by whom, and how it ended."""
    from slipway.state import releases as ledger

    ledger.show(session.begin(c, prod=True, looks=True).settings.root, as_json=json)


@task(
    help={
        **ALWAYS_PROD,
        **YES,
        "release": "id of a kept release (default: the one before)",
        "keep-schema": "the database stays as it is, whatever migrations lie between",
        "migrate-back": "take these migrations back, once the earlier release serves",
        "restore-backup": "put the dump from before them in the database's place (asks first)",
    }
)
def rollback(
    c: Context,
    release: str = "",
    keep_schema: bool = False,
    migrate_back: bool = False,
    restore_backup: bool = False,
    yes: bool = False,
    prod: bool = False,
) -> None:
    """Switch production back to an earlier release."""
    from slipway.release import rollback as back

    choice = back.chosen(keep_schema=keep_schema, migrate_back=migrate_back, restore_backup=restore_backup)
    back.rollback(session.begin(c, prod=True), release=release, choice=choice, yes=yes)


@task(help={**PROD, **YES, "volumes": "delete the data and the images too (asks first)"})
def down(c: Context, volumes: bool = False, yes: bool = False, prod: bool = False) -> None:
    """Remove containers and networks; data stays."""
    from slipway.release import lifecycle

    lifecycle.down(session.begin(c, prod), volumes=volumes, yes=yes)


@task(
    help={
        **JSON,
        "word": "on, off or status",
        "retry-after": "on: seconds after which clients should ask again",
        "message": "on: what the page says",
        "prod": "required: development has no nginx",
    }
)
def maintenance(
    c: Context,
    word: str,
    retry_after: str = "300",
    message: str = "",
    json: bool = False,
    prod: bool = False,
) -> None:
    """Close the site for maintenance, or open it: on, off."""
    from slipway.services import maintenance as switch

    switch.maintenance(session.begin(c, prod), word, retry_after=retry_after, message=message, as_json=json)


@task(help={**PROD, **SERVICES})
def start(c: Context, services: str = "", prod: bool = False) -> None:
    """Start stopped containers."""
    from slipway.release import lifecycle

    lifecycle.change(session.begin(c, prod), "start", _list(services))


@task(help={**PROD, **SERVICES})
def stop(c: Context, services: str = "", prod: bool = False) -> None:
    """Stop containers without removing them."""
    from slipway.release import lifecycle

    lifecycle.change(session.begin(c, prod), "stop", _list(services))


@task(help={**PROD, **SERVICES})
def restart(c: Context, services: str = "", prod: bool = False) -> None:
    """Restart containers."""
    from slipway.release import lifecycle

    lifecycle.change(session.begin(c, prod), "restart", _list(services))


@task(help={**PROD, **JSON, "all": "stopped and finished containers too"})
def ps(c: Context, all: bool = False, json: bool = False, prod: bool = False) -> None:
    """List containers with state, health and ports."""
    from slipway.services import views

    views.ps(session.begin(c, prod, looks=True), everything=all, as_json=json)


@task(
    help={
        **PROD,
        **SERVICES,
        "follow": "go on printing new lines",
        "tail": "only the last N lines of each",
        "since": "only newer than a time or a duration (10m)",
        "timestamps": "the time before each line",
    },
)
def logs(
    c: Context,
    services: str = "",
    follow: bool = False,
    tail: str = "",
    since: str = "",
    timestamps: bool = False,
    prod: bool = False,
) -> None:
    """Print logs."""
    from slipway.services import views

    work = session.begin(c, prod, looks=True)
    views.logs(work, _list(services), follow=follow, tail=tail, since=since, timestamps=timestamps)


@task(help={**PROD, **JSON})
def url(c: Context, json: bool = False, prod: bool = False) -> None:
    """Print the site's URL."""
    from slipway.services import views

    views.print_url(session.begin(c, prod, looks=True), as_json=json)


@task(name="open", help={**PROD})
def open_site(c: Context, prod: bool = False) -> None:
    """Open the site in a browser."""
    from slipway.services import views

    views.open_browser(session.begin(c, prod, looks=True))


@task(
    help={
        **ALWAYS_PROD,
        **JSON,
        "reload": "serve what lies in the files now",
        "renew": "TLS=acme: have the CA issue a new one, due or not",
    }
)
def certs(
    c: Context, reload: bool = False, renew: bool = False, json: bool = False, prod: bool = False
) -> None:
    """The TLS certificate: names, expiry, how to trust it."""
    from slipway.tls import certs as certificate

    certificate.certs(
        session.begin(c, prod=True, looks=not (reload or renew)), reload=reload, renew=renew, as_json=json
    )


# -- the project -------------------------------------------------------------------------------------


@task(
    help={**PROD, "service": "where (default: web); psql in db", "django": "the Django shell"},
)
def shell(c: Context, service: str = "web", django: bool = False, prod: bool = False) -> None:
    """Open bash in web, psql in db, or the Django shell."""
    from slipway.commands import commands

    commands.shell(session.begin(c, prod), service, django=django)


@task(
    help={**PROD, "command": "the command and its arguments, quoted; options may follow after --"},
)
def manage(c: Context, command: str, prod: bool = False) -> None:
    """Run manage.py: invoke manage "migrate --plan"."""
    from slipway.commands import commands

    commands.manage(session.begin(c, prod), commands.words(command, c.remainder))


@task(
    help={
        **PROD,
        "target": "app, or app and migration, quoted (default: all); or write it after --",
        "plan": "only list them, and what in them is unsafe while old code runs",
        "check": "only tell whether there are any (exit code 1)",
    }
)
def migrate(
    c: Context, target: str = "", plan: bool = False, check: bool = False, prod: bool = False
) -> None:
    """Apply database migrations, once however many start it."""
    from slipway.commands import commands

    work = session.begin(c, prod)
    commands.migrate(work, commands.words(target, c.remainder), plan=plan, check=check)


@task(
    help={
        "apps": "only these apps, quoted; or write them after --",
        "prod": "check that none is missing (the image is read-only)",
    },
)
def makemigrations(c: Context, apps: str = "", prod: bool = False) -> None:
    """Write new migrations into the project."""
    from slipway.commands import commands

    commands.makemigrations(session.begin(c, prod), commands.words(apps, c.remainder))


@task(help={"prod": "publish the image's files into the volume nginx serves"})
def collectstatic(c: Context, prod: bool = False) -> None:
    """Collect static files."""
    from slipway.commands import commands

    commands.collectstatic(session.begin(c, prod))


@task(help={**PROD, "username": "name of the account", "email": "its address"})
def createsuperuser(c: Context, username: str = "", email: str = "", prod: bool = False) -> None:
    """Create an admin account.

    With DJANGO_SUPERUSER_PASSWORD in the environment it asks nothing.
    """
    from slipway.commands import commands

    commands.createsuperuser(session.begin(c, prod), username=username, email=email)


@task(
    help={
        "arguments": "for the test command, quoted; or write them after --",
        "prod": "Django's deployment check in the production image, which carries no tests",
    },
)
def test(c: Context, arguments: str = "", prod: bool = False) -> None:
    """Run the project's tests in its container."""
    from slipway.commands import commands

    commands.test(session.begin(c, prod), commands.words(arguments, c.remainder))


@task(
    name="exec",
    help={**PROD, "service": "where", "command": "what, quoted; or write it after --"},
)
def exec_(c: Context, service: str, command: str = "", prod: bool = False) -> None:
    """Run any command: invoke exec web -- ls -l."""
    from slipway.commands import commands

    commands.execute(session.begin(c, prod), service, commands.words(command, c.remainder))


# -- the database ------------------------------------------------------------------------------------


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
        "from-project": "the stack it was made of, when that is another one",
    },
)
def db_restore(c: Context, name: str, from_project: str = "", yes: bool = False, prod: bool = False) -> None:
    """Put a backup in the place of database and media."""
    from slipway.backup import backuprestore

    backuprestore.restore(session.begin(c, prod), name, from_project=from_project, yes=yes)


@task(name="import", help={**PROD, **YES, "file": "of pg_dump: plain SQL (.gz too), custom or tar format"})
def db_import(c: Context, file: str, yes: bool = False, prod: bool = False) -> None:
    """Put another site's dump in the place of the database."""
    from slipway.backup import importing

    importing.import_database(session.begin(c, prod), file, yes=yes)


@task(name="import", help={**PROD, **YES, "folder": "what was the other site's MEDIA_ROOT"})
def media_import(c: Context, folder: str, yes: bool = False, prod: bool = False) -> None:
    """Put another site's uploads in the place of the media."""
    from slipway.backup import importing

    importing.import_media(session.begin(c, prod), folder, yes=yes)


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
        "image": "its image, where that does not follow from the present one",
        "discard-old": "delete the database as it was before an upgrade (asks first)",
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


# -- looking -----------------------------------------------------------------------------------------


@task(help={**PROD, **JSON, "follow": "go on updating"})
def stats(c: Context, follow: bool = False, json: bool = False, prod: bool = False) -> None:
    """CPU, memory and I/O of each container."""
    from slipway.services import views

    views.stats(session.begin(c, prod, looks=True), follow=follow, as_json=json)


@task(help={**PROD, "service": "whose containers", "json": "accepted; the answer is JSON already"})
def inspect(c: Context, service: str, json: bool = False, prod: bool = False) -> None:
    """All the engine knows of a service, as JSON."""
    from slipway.services import views

    views.inspect(session.begin(c, prod, looks=True), service)


@task(help={**PROD, **JSON})
def config(c: Context, json: bool = False, prod: bool = False) -> None:
    """The merged compose configuration."""
    from slipway.services import views

    views.config(session.begin(c, prod, looks=True), as_json=json)


@task(help={**PROD, **JSON})
def images(c: Context, json: bool = False, prod: bool = False) -> None:
    """Base images and built images, with sizes."""
    from slipway.services import views

    views.images(session.begin(c, prod, looks=True), as_json=json)


@task(help={**PROD, **JSON})
def volumes(c: Context, json: bool = False, prod: bool = False) -> None:
    """The stack's volumes."""
    from slipway.services import views

    views.objects(session.begin(c, prod, looks=True), "volume", as_json=json)


@task(help={**PROD, **JSON})
def networks(c: Context, json: bool = False, prod: bool = False) -> None:
    """The stack's networks."""
    from slipway.services import views

    views.objects(session.begin(c, prod, looks=True), "network", as_json=json)


@task(help={**PROD, **JSON})
def doctor(c: Context, json: bool = False, prod: bool = False) -> None:
    """What would stop `up`, or is wrong with what runs."""
    from slipway.checks import doctor as examination

    examination.doctor(ROOT, session.runner_of(c), prod, as_json=json)


# -- the kit itself ----------------------------------------------------------------------------------


@task(
    help={
        **ANY_STACK,
        "from": "a clone, an unpacked archive or a URL (default: where this kit came from)",
        "to": "a tag, branch or commit (default: what is checked out there)",
    }
)
def upgrade(c: Context, from_: str = "", to: str = "", prod: bool = False) -> None:
    """Bring the kit's files here to those of a newer kit."""
    from slipway.kit.upgrading import upgrade as bring

    bring(ROOT, session.runner_of(c), place=from_, revision=to)


@task(
    help={
        **ANY_STACK,
        "name": "of the project: a folder, its package and the stacks are called so",
        "keep-example": "keep the guestbook, under that name",
    }
)
def new(c: Context, name: str, keep_example: bool = False, prod: bool = False) -> None:
    """Make this fresh clone your project."""
    from slipway.kit import starting

    starting.start(ROOT, name, session.runner_of(c), keep_example=keep_example)


# -- the machine -------------------------------------------------------------------------------------


@task(help={**ANY_STACK, **JSON, "force": "build stand-ins afresh, with Debian's newest packages"})
def bases(c: Context, force: bool = False, json: bool = False, prod: bool = False) -> None:
    """Base images: present, else pulled, else built."""
    from slipway.commands import machineviews

    machineviews.bases(session.begin(c, prod, create=True, looks=True), force=force, as_json=json)


@task(help={**ANY_STACK, **JSON})
def machine(c: Context, json: bool = False, prod: bool = False) -> None:
    """What this machine has: engine, versions, disk."""
    from slipway.commands import machineviews

    machineviews.machine(session.begin(c, prod, create=True, looks=True), as_json=json)


@task(
    help={
        **PROD,
        **YES,
        **JSON,
        "volumes": "unused volumes too: their data is lost",
        "system": "what no project on this engine uses, and the build cache",
    }
)
def prune(
    c: Context,
    volumes: bool = False,
    system: bool = False,
    yes: bool = False,
    json: bool = False,
    prod: bool = False,
) -> None:
    """Show, then remove, what this project no longer uses."""
    from slipway.commands import prune as pruning

    pruning.prune(session.begin(c, prod), volumes=volumes, system=system, yes=yes, as_json=json)


namespace = menu(
    stack=(
        *(adopt, init, build, up, deploy, releases, rollback, down, start, stop, restart),
        *(maintenance, certs, ps, logs, url, open_site),
    ),
    project=(shell, manage, migrate, makemigrations, collectstatic, createsuperuser, test, exec_),
    db=Collection(
        "db", db_backup, db_backups, db_fetch, db_restore, db_import, db_verify, db_prune, db_upgrade
    ),
    media=Collection("media", media_import),
    look=(doctor, stats, inspect, config, images, volumes, networks),
    machine=(bases, machine, prune),
    kit=(new, upgrade),
)
