"""Counting what was submitted lately reads one index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assignments", "0006_kept_draft_slot")]

    operations = [
        migrations.AddIndex(
            model_name="slot",
            index=models.Index(fields=["project", "submitted_at"], name="slot_pace"),
        ),
    ]
