"""The project's uploads."""

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from slipway.orchestrators import session
from slipway.tasks.options import PROD, YES


@task(name="import", help={**PROD, **YES, "folder": "what was the other site's MEDIA_ROOT"})
def media_import(c: Context, folder: str, yes: bool = False, prod: bool = False) -> None:
    """Put another site's uploads in the place of the media."""
    from slipway.backup import importing

    importing.import_media(session.begin(c, prod), folder, yes=yes)


collection = Collection("media", media_import)
