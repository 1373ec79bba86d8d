from django.db import migrations, models


class Migration(migrations.Migration):
    operations = [
        migrations.CreateModel(
            "Applied",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("name", models.TextField()),
                ("note", models.TextField(null=True)),
            ],
        )
    ]
