"""Counting what was submitted, for forecasts and for pay, reads one index and no row."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("assignments", "0007_pace")]

    operations = [
        migrations.RemoveIndex(model_name="slot", name="slot_pace"),
        migrations.AddIndex(
            model_name="slot",
            index=models.Index(
                fields=["project", "submitted_at"],
                include=["labeler", "kind", "state", "priority", "active_seconds"],
                name="slot_pace",
            ),
        ),
    ]
