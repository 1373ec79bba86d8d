"""This machine and what the kit keeps on it."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import ANY_STACK, JSON, PROD, YES


@task(help={**ANY_STACK, **JSON, "force": "rebuild stand-ins, with Debian's newest packages"})
def bases(c: Context, force: bool = False, json: bool = False, prod: bool = False) -> None:
    """Get base images: use local ones, else pull, else build."""
    from slipway.commands import machineviews

    machineviews.bases(session.begin(c, prod, create=True, looks=True), force=force, as_json=json)


@task(help={**ANY_STACK, **JSON})
def machine(c: Context, json: bool = False, prod: bool = False) -> None:
    """Show this machine's engine, versions and disk."""
    from slipway.commands import machineviews

    machineviews.machine(session.begin(c, prod, create=True, looks=True), as_json=json)


@task(
    help={
        **PROD,
        **YES,
        **JSON,
        "volumes": "also unused volumes: their data is lost",
        "system": "everything that no project on this engine uses, and the build cache",
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
