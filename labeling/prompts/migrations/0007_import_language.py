"""The language of whoever asked for an import: a worker tells the bad lines in it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("prompts", "0006_brief")]
    operations = [
        migrations.AddField(
            model_name="promptimport",
            name="language",
            field=models.CharField(default="en", help_text="Of whoever asked: bad lines are told in it.", max_length=8),
        ),
    ]
