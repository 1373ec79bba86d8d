import os
import time

from celery import shared_task

from jobs.models import Entry, Report

RELEASE = os.environ.get("RELEASE", "")


@shared_task
def note(word, seconds=0):
    """Take ``seconds``, then write the word into both databases."""
    time.sleep(seconds)
    Entry.objects.create(word=word, release=RELEASE)
    Report.objects.create(word=word)


@shared_task
def tick():
    Entry.objects.create(word="tick", release=RELEASE)
