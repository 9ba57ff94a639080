"""Counting the demonstrations of a stretch of days reads one index and no row."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("demonstrations", "0003_immutable")]

    operations = [
        migrations.AddIndex(
            model_name="demonstration",
            index=models.Index(
                fields=["project", "late", "created_at"],
                condition=Q(supersedes=None),
                include=["labeler", "active_seconds"],
                name="demonstration_days",
            ),
        ),
    ]
