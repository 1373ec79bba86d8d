"""``manage.py sign TEXT``: add an entry."""

from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.files import File
from django.core.management.base import BaseCommand, CommandError

from guestbook.models import Entry


class Command(BaseCommand):
    """Adds an entry under the same rules as the form."""

    help = "Adds an entry to the guestbook and prints its id."

    def add_arguments(self, parser):
        parser.add_argument("text")
        parser.add_argument("--image", type=Path, metavar="FILE", help="a picture to go with it")

    def handle(self, *, text, image, **options):
        entry = Entry(text=text)
        try:
            if image:
                entry.image = File(image.open("rb"), name=image.name)
            entry.full_clean()
        except OSError as error:
            raise CommandError(f"cannot read {image}: {error.strerror}") from error
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from error
        entry.save()
        self.stdout.write(str(entry.pk))
