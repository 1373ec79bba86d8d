"""What becomes 0004 of the app `ledger` in the test of the warnings."""

from django.db import migrations, models


class Harmless(migrations.AddField):
    """Of the project, but nothing more than what it extends."""


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_index")]
    operations = [
        migrations.AddField("applied", "optional", models.TextField(null=True)),
        Harmless("applied", "filled", models.TextField(db_default="")),
        migrations.AlterField("applied", "optional", models.TextField(null=True, help_text="as it was")),
        migrations.AddField("applied", "required", models.TextField(default="only Django knows")),
        migrations.AlterField("applied", "note", models.TextField(default="")),
        migrations.RenameField("applied", "name", "title"),
        migrations.RemoveField("applied", "note"),
        migrations.AlterModelTable("applied", "ledger_entries"),
        migrations.CreateModel("Fresh", [("id", models.BigAutoField(primary_key=True))]),
        migrations.AddField("fresh", "required", models.TextField()),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.DeleteModel("Fresh")],
            database_operations=[migrations.RunSQL("SELECT 1", "SELECT 1")],
        ),
    ]
