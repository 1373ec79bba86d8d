"""Keeps the uploads in sync with the table."""

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from guestbook.models import Entry


@receiver(post_delete, sender=Entry)
def delete_image(instance: Entry, **kwargs) -> None:
    """Delete an entry's picture once the deletion is committed, however it was made."""
    if instance.image:
        image = instance.image
        transaction.on_commit(lambda: image.storage.delete(image.name))
