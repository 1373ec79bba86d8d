"""Shows the stack; changes nothing."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.core.checkout import ROOT
from slipway.orchestrators import session
from slipway.tasks.options import JSON, PROD


@task(help={**PROD, **JSON, "follow": "keep updating"})
def stats(c: Context, follow: bool = False, json: bool = False, prod: bool = False) -> None:
    """CPU, memory and I/O of each container."""
    from slipway.services import views

    views.stats(session.begin(c, prod, looks=True), follow=follow, as_json=json)


@task(help={**PROD, "service": "whose containers", "json": "accepted; the answer is JSON already"})
def inspect(c: Context, service: str, json: bool = False, prod: bool = False) -> None:
    """All the engine knows about a service, as JSON."""
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
    """Find what would stop `up`, or is wrong with the running stack."""
    from slipway.checks import doctor as examination

    examination.doctor(ROOT, session.runner_of(c), prod, as_json=json)


collection = Collection(doctor, stats, inspect, config, images, volumes, networks)
