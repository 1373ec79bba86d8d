import os
import time

from django.core.management.base import BaseCommand

from jobs.models import Entry


class Command(BaseCommand):
    """Write a word every half second, for ever."""

    def add_arguments(self, parser):
        parser.add_argument("word")

    def handle(self, word, **_):
        while True:
            Entry.objects.create(word=word, release=os.environ.get("RELEASE", ""))
            time.sleep(0.5)
