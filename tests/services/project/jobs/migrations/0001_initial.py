from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Entry",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("word", models.CharField(max_length=100)),
                ("release", models.CharField(max_length=100)),
                ("at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.CreateModel(
            "Report",
            [("id", models.BigAutoField(primary_key=True)), ("word", models.CharField(max_length=100))],
        ),
    ]
