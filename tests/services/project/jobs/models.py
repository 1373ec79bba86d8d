from django.db import models


class Entry(models.Model):
    """What a process has done: in the default database."""

    word = models.CharField(max_length=100)
    release = models.CharField(max_length=100)
    at = models.DateTimeField(auto_now_add=True)


class Report(models.Model):
    """What a task has reported: in the database called reports."""

    word = models.CharField(max_length=100)
