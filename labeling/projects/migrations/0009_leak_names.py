"""A project's own list of names that give a model away."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0008_appeals"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="leak_names",
            field=models.TextField(
                blank=True, help_text="Names of models or vendors, one a line; completions with one are held back."
            ),
        ),
    ]
