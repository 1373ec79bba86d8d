"""The project's uploads."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import PROD, YES


@task(name="import", help={**PROD, **YES, "folder": "a copy of the other site's MEDIA_ROOT"})
def media_import(c: Context, folder: str, yes: bool = False, prod: bool = False) -> None:
    """Replace the media with another site's uploads."""
    from slipway.backup import importing

    importing.import_media(session.begin(c, prod), folder, yes=yes)


collection = Collection("media", media_import)
