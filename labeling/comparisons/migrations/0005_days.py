"""Counting the rankings of a stretch of days reads one index and no row."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("comparisons", "0004_held_back")]

    operations = [
        migrations.AddIndex(
            model_name="ranking",
            index=models.Index(
                fields=["project", "late", "created_at"],
                condition=Q(supersedes=None),
                include=["labeler", "active_seconds"],
                name="ranking_days",
            ),
        ),
    ]
