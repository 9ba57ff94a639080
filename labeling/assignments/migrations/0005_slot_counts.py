"""Counting a batch's judgements reads one index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Counting a batch's judgements reads one index."""

    dependencies = [("assignments", "0004_slot_batch")]
    operations = [
        migrations.AddIndex(model_name="slot", index=models.Index(fields=["batch", "state"], name="slot_counts"))
    ]
