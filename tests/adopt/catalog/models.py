from django.db import models


class Item(models.Model):
    """Something on the page."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name
