from django.db import migrations


def add_items(apps, schema_editor):
    item = apps.get_model("catalog", "Item")
    for name in ("Blue kettle", "Green teapot"):
        item.objects.using(schema_editor.connection.alias).create(name=name)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [migrations.RunPython(add_items, migrations.RunPython.noop)]
