from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from django.core.management import CommandError, call_command
from django.test import TestCase
from django.utils import timezone

from guestbook.models import Entry
from guestbook.tests.support import picture


def run(*args, **options) -> str:
    out = StringIO()
    call_command(*args, stdout=out, **options)
    return out.getvalue().strip()


class SignTests(TestCase):
    def test_entry_is_added_and_its_id_printed(self):
        """Red when save is left out."""
        printed = run("sign", "From the command line")
        self.assertEqual(Entry.objects.get(pk=printed).text, "From the command line")

    def test_picture_is_stored(self):
        """Red when --image is ignored."""
        with TemporaryDirectory() as folder:
            file = Path(folder, "p.png")
            file.write_bytes(picture().read())
            entry = Entry.objects.get(pk=run("sign", "look", image=file))
            self.assertEqual(Path(entry.image.path).read_bytes(), file.read_bytes())

    def test_the_forms_rules_hold(self):
        """Red when full_clean is left out."""
        with TemporaryDirectory() as folder:
            text = Path(folder, "p.png")
            text.write_text("no picture")
            for args, options, error in (
                (["x" * 1001], {}, "at most 1000 characters"),
                ([""], {}, "cannot be blank"),
                (["x"], {"image": text}, "not a valid image"),
                (["x"], {"image": Path(folder, "none.png")}, "cannot read .*none.png"),
            ):
                with self.subTest(error), self.assertRaisesRegex(CommandError, error):
                    run("sign", *args, **options)
        self.assertFalse(Entry.objects.exists())


class PruneTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.old, cls.new = Entry.objects.create(text="old"), Entry.objects.create(text="new")
        Entry.objects.filter(pk=cls.old.pk).update(created=timezone.now() - timedelta(days=31))

    def test_only_old_entries_go(self):
        """Red when the comparison is turned round."""
        self.assertEqual(run("prune_entries", older_than=30), "1 entries deleted")
        self.assertEqual(Entry.objects.get(), self.new)

    def test_dry_run_deletes_nothing(self):
        """Red when --dry-run is ignored."""
        self.assertEqual(run("prune_entries", older_than=30, dry_run=True), "1 entries would be deleted")
        self.assertEqual(Entry.objects.count(), 2)

    def test_negative_age_is_refused(self):
        """It would delete everything. Red when the check goes."""
        with self.assertRaisesRegex(CommandError, "cannot be negative"):
            run("prune_entries", older_than=-1)
