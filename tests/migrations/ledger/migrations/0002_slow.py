"""Writes a row and takes its time, on the server, as a large data migration does."""

from pathlib import Path

from django.db import migrations


def run(apps, editor):
    apps.get_model("ledger", "Applied").objects.using(editor.connection.alias).create(name="slow")
    if editor.connection.vendor == "postgresql":
        seconds = Path(__file__).with_name("seconds").read_text()
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [float(seconds)])


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [migrations.RunPython(run, migrations.RunPython.noop)]
