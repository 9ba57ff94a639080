"""Counting prompts by state and split reads a small index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Counting prompts by state and split reads a small index."""

    dependencies = [("prompts", "0004_text_search")]
    operations = [
        migrations.AddIndex(
            model_name="prompt", index=models.Index(fields=["project", "state", "split"], name="prompt_counts")
        )
    ]
