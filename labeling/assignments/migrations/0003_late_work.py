"""A kept draft remembers that it was submitted late, so that its author is not offered the task again."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A kept draft remembers that it was submitted late."""

    dependencies = [("assignments", "0002_links")]
    operations = [
        migrations.AddField(
            model_name="keptdraft",
            name="late_at",
            field=models.DateTimeField(
                help_text="When it was submitted after all; the task is not offered again.", null=True
            ),
        )
    ]
