"""The kit's own files."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.core.checkout import ROOT
from slipway.orchestrators import session
from slipway.tasks.options import ANY_STACK


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
        "name": "of the project: names a folder, its package and the stacks",
        "keep-example": "keep the guestbook, under that name",
    }
)
def new(c: Context, name: str, keep_example: bool = False, prod: bool = False) -> None:
    """Make this fresh clone your project."""
    from slipway.kit import starting

    starting.start(ROOT, name, session.runner_of(c), keep_example=keep_example)


collection = Collection(new, upgrade)
