"""Kept drafts know since when their author had the task: the time of late work is capped by it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Kept drafts know since when their author had the task."""

    dependencies = [("assignments", "0010_personal_data")]
    operations = [
        migrations.AddField(
            "keptdraft",
            "leased_at",
            models.DateTimeField(help_text="Since when the person had the task.", null=True),
        )
    ]
