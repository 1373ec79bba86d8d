"""Channels with a consumer that echoes; the server is in no requirements file."""

from projectkit import DJANGO, Project, frame, framework

PROJECT = Project(
    name="chat",
    files={
        **frame("chat"),
        "requirements.txt": f"{DJANGO}\nchannels>=4.2\ndj-database-url\npsycopg[binary]\n",
        "chat/asgi.py": """
import os

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chat.settings")
django_asgi_app = get_asgi_application()

from chat.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {
        "http": django_asgi_app,
        "websocket": AllowedHostsOriginValidator(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
    }
)
""",
        "chat/routing.py": """
from django.urls import path

from .consumers import Echo

websocket_urlpatterns = [path("ws/echo/", Echo.as_asgi())]
""",
        "chat/consumers.py": """
from channels.generic.websocket import AsyncWebsocketConsumer


class Echo(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data=f"echo: {text_data}")
""",
        "chat/settings.py": f"""
import os
from pathlib import Path

import dj_database_url

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("SECRET_KEY")
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")
ASGI_APPLICATION = "chat.asgi.application"
{framework("chat", "channels")}
DATABASES = {{"default": dj_database_url.config()}}

CHANNEL_LAYERS = {{"default": {{"BACKEND": "channels.layers.InMemoryChannelLayer"}}}}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
""",
    },
)
