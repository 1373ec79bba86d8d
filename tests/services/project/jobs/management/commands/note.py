import os
import sys

from django.core.management.base import BaseCommand

from jobs.models import Entry


class Command(BaseCommand):
    """Write a word once, and end with an exit code."""

    def add_arguments(self, parser):
        parser.add_argument("word")
        parser.add_argument("--code", type=int, default=0)

    def handle(self, word, code, **_):
        Entry.objects.create(word=word, release=os.environ.get("RELEASE", ""))
        sys.exit(code)
