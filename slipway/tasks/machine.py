"""This machine and what the kit keeps on it."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import ANY_STACK, JSON, PROD, YES


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


collection = Collection(bases, machine, prune)
