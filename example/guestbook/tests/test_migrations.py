from django.core.management import call_command
from django.test import TestCase


class MigrationTests(TestCase):
    def test_models_have_no_change_without_a_migration(self):
        """Red when a field of a model changes alone."""
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)
