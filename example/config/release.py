"""The name of the running release, for templates."""

from django.conf import settings


def release(request) -> dict[str, str]:
    """Context processor: ``release`` is the environment's RELEASE, or ``dev``."""
    return {"release": settings.RELEASE}
