"""Registers the guestbook with Django."""

from django.apps import AppConfig


class GuestbookConfig(AppConfig):
    """A book that anyone may sign with a text and a picture."""

    name = "guestbook"
    verbose_name = "Guestbook"

    def ready(self):
        from guestbook import signals  # noqa: F401, PLC0415  (needs the models loaded)
