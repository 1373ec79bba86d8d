"""Waits for every snapshot that is older: also for that of a statement which waits for a lock."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("ledger", "0002_slow")]
    operations = [AddIndexConcurrently("applied", models.Index(fields=["name"], name="ledger_name"))]
