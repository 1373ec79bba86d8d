"""The guestbook's one table."""

from django.core.validators import MaxLengthValidator
from django.db import models

from guestbook.images import check_image, upload_path

MAX_TEXT = 1000


class Entry(models.Model):
    """A visitor's entry: a text and perhaps a picture."""

    text = models.TextField(max_length=MAX_TEXT, validators=[MaxLengthValidator(MAX_TEXT)])
    image = models.ImageField(upload_to=upload_path, validators=[check_image], blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created", "-id"]
        indexes = [models.Index(fields=["-created", "-id"], name="entry_newest_first")]
        verbose_name_plural = "entries"

    def __str__(self) -> str:
        return self.text[:60]
