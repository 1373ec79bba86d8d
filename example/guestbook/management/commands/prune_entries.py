"""``manage.py prune_entries --older-than DAYS``: delete old entries."""

from datetime import timedelta

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from guestbook.models import Entry


class Command(BaseCommand):
    """Deletes entries by age, with their pictures."""

    help = "Deletes the entries older than a number of days, and their pictures."

    def add_arguments(self, parser):
        parser.add_argument("--older-than", type=int, metavar="DAYS", required=True)
        parser.add_argument("--dry-run", action="store_true", help="only print how many there are")

    def handle(self, *, older_than, dry_run, **options):
        if older_than < 0:
            raise CommandError("--older-than cannot be negative")
        old = Entry.objects.filter(created__lt=timezone.now() - timedelta(days=older_than))
        if dry_run:
            self.stdout.write(f"{old.count()} entries would be deleted")
            return
        _, deleted = old.delete()
        self.stdout.write(f"{deleted.get(Entry._meta.label, 0)} entries deleted")
