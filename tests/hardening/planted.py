"""What the tests put into the copy of the checkout: secrets to look for, and a page that tells."""

from __future__ import annotations

import secrets


def _mark(name: str) -> str:
    return f"planted-{name}-{secrets.token_hex(16)}"


MARKS = {name: _mark(name) for name in ("project", "backup", "tls", "kit", "forgotten")}
"""Values that exist nowhere but in the file each is planted in."""

FILES = {
    "secrets/api_token": MARKS["project"],
    # A service's own, which no other may see.
    "secrets/backup/passphrase": MARKS["backup"],
    "secrets/tls/key": MARKS["tls"],
    # The project's folder is what images are built from; people leave such files there.
    "example/.env": f"API_TOKEN={MARKS['forgotten']}\n",
    "example/secrets/old": MARKS["forgotten"],
}

PLACEHOLDER = "\nAPI_TOKEN={{secret:api_token}}\n"
"""For ``app.env``: filled in inside the project's containers and shown nowhere."""

APPLICATION = '''
from django.http import JsonResponse
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def seen(request, rest):
    """What arrived, as the project sees it."""
    return JsonResponse({
        "method": request.method,
        "path": request.path,
        "body": request.body.decode("latin-1"),
        "headers": dict(request.headers),
        "absolute": request.build_absolute_uri("/reset/"),
        "secure": request.is_secure(),
        "address": request.META["REMOTE_ADDR"],
    })

urlpatterns.insert(0, path("seen/<path:rest>", seen))
'''
"""For the end of the example's ``urls.py``."""
