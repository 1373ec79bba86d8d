"""The stack: start, change and stop it."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.core.checkout import ROOT
from slipway.orchestrators import session
from slipway.tasks.options import ALWAYS_PROD, ANY_STACK, JSON, PROD, SERVICES, YES, names


@task(
    help={
        "take-over": "make this folder the stack's owner: its former folder has moved here",
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
        "copy": "copy the kit into its own folder inside the project, instead of leaving it outside",
        "into": "the name of that folder (default: slipway)",
        "manage-dir": "the folder with manage.py, relative to PATH, if there are several",
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


@task(help={**PROD, **SERVICES, "no-cache": "rebuild every layer"})
def build(c: Context, services: str = "", no_cache: bool = False, prod: bool = False) -> None:
    """Build the images."""
    from slipway.release import lifecycle

    lifecycle.build(session.begin(c, prod, create=True), names(services), no_cache=no_cache)


@task(
    help={
        **PROD,
        **JSON,
        "scale": "number of web replicas (default: WEB_REPLICAS)",
        "no-build": "start from the existing images",
        "local": "no containers: Django's development server on the project's embedded database",
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
        "image": "an image that is already built, here or in a registry",
    }
)
def deploy(c: Context, release: str = "", image: str = "", prod: bool = False) -> None:
    """Switch production to the checked-out code."""
    from slipway.release import deploy as deploying

    deploying.deploy(session.begin(c, prod=True), release=release, image=image)


@task(help={**ALWAYS_PROD, **JSON})
def releases(c: Context, json: bool = False, prod: bool = False) -> None:
    """List deploys and rollbacks: when, by whom, and how they ended."""
    from slipway.state import releases as ledger

    ledger.show(session.begin(c, prod=True, looks=True).settings.root, as_json=json)


@task(
    help={
        **ALWAYS_PROD,
        **YES,
        "release": "id of a kept release (default: the previous one)",
        "keep-schema": "do not change the database, even if there are migrations in between",
        "migrate-back": "take these migrations back, once the earlier release serves",
        "restore-backup": "restore the dump from before these migrations (asks first)",
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


@task(help={**PROD, **YES, "volumes": "also delete the data and the images (asks first)"})
def down(c: Context, volumes: bool = False, yes: bool = False, prod: bool = False) -> None:
    """Remove containers and networks; data is kept."""
    from slipway.release import lifecycle

    lifecycle.down(session.begin(c, prod), volumes=volumes, yes=yes)


@task(
    help={
        **JSON,
        "word": "on, off or status",
        "retry-after": "on: seconds after which clients should retry",
        "message": "on: the text of the page",
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

    lifecycle.change(session.begin(c, prod), "start", names(services))


@task(help={**PROD, **SERVICES})
def stop(c: Context, services: str = "", prod: bool = False) -> None:
    """Stop containers without removing them."""
    from slipway.release import lifecycle

    lifecycle.change(session.begin(c, prod), "stop", names(services))


@task(help={**PROD, **SERVICES})
def restart(c: Context, services: str = "", prod: bool = False) -> None:
    """Restart containers."""
    from slipway.release import lifecycle

    lifecycle.change(session.begin(c, prod), "restart", names(services))


@task(help={**PROD, **JSON, "all": "also stopped and finished containers"})
def ps(c: Context, all: bool = False, json: bool = False, prod: bool = False) -> None:
    """List containers with state, health and ports."""
    from slipway.services import views

    views.ps(session.begin(c, prod, looks=True), everything=all, as_json=json)


@task(
    help={
        **PROD,
        **SERVICES,
        "follow": "keep printing new lines",
        "tail": "only the last N lines of each",
        "since": "only lines newer than a time or a duration (10m)",
        "timestamps": "print the time before each line",
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
    views.logs(work, names(services), follow=follow, tail=tail, since=since, timestamps=timestamps)


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
        "reload": "serve the certificate that is in the files now",
        "renew": "TLS=acme: request a new one from the CA, even if it is not due",
    }
)
def certs(
    c: Context, reload: bool = False, renew: bool = False, json: bool = False, prod: bool = False
) -> None:
    """Show the TLS certificate: names, expiry, how to trust it."""
    from slipway.tls import certs as certificate

    certificate.certs(
        session.begin(c, prod=True, looks=not (reload or renew)), reload=reload, renew=renew, as_json=json
    )


collection = Collection(
    adopt, init, build, up, deploy, releases, rollback, down, start, stop, restart, maintenance, certs,
    ps, logs, url, open_site,
)  # fmt: skip
