"""The project's own commands, in its containers."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import PROD


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
        "plan": "only list them, with operations that are unsafe while old code runs",
        "check": "only report whether there are any (exit code 1)",
    }
)
def migrate(
    c: Context, target: str = "", plan: bool = False, check: bool = False, prod: bool = False
) -> None:
    """Apply database migrations, once even if several start it."""
    from slipway.commands import commands

    work = session.begin(c, prod)
    commands.migrate(work, commands.words(target, c.remainder), plan=plan, check=check)


@task(
    help={
        "apps": "only these apps, quoted; or write them after --",
        "prod": "only check that none is missing (the image is read-only)",
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

    With DJANGO_SUPERUSER_PASSWORD in the environment it asks no questions.
    """
    from slipway.commands import commands

    commands.createsuperuser(session.begin(c, prod), username=username, email=email)


@task(
    help={
        "arguments": "for the test command, quoted; or write them after --",
        "prod": "run Django's deployment check instead: the production image has no tests",
    },
)
def test(c: Context, arguments: str = "", prod: bool = False) -> None:
    """Run the project's tests in its container."""
    from slipway.commands import commands

    commands.test(session.begin(c, prod), commands.words(arguments, c.remainder))


@task(
    name="exec",
    help={**PROD, "service": "in which service", "command": "the command, quoted; or write it after --"},
)
def exec_(c: Context, service: str, command: str = "", prod: bool = False) -> None:
    """Run any command: invoke exec web -- ls -l."""
    from slipway.commands import commands

    commands.execute(session.begin(c, prod), service, commands.words(command, c.remainder))


collection = Collection(shell, manage, migrate, makemigrations, collectstatic, createsuperuser, test, exec_)
