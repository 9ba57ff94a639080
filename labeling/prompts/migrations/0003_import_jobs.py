"""Imports that a worker runs, and the kinds of personal data that hygiene found."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0003_review"),
        ("prompts", "0002_prefix_hash"),
    ]

    operations = [
        migrations.AddField(
            model_name="prompt",
            name="personal_data",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=10),
                default=list,
                help_text="Kinds of personal data that hygiene found.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="promptimport",
            name="fmt",
            field=models.CharField(blank=True, max_length=5),
        ),
        migrations.AddField(
            model_name="promptimport",
            name="lines_read",
            field=models.PositiveBigIntegerField(default=0, help_text="While it runs; told outside its transaction."),
        ),
        migrations.AddField(
            model_name="promptimport",
            name="state",
            field=models.CharField(
                choices=[("queued", "In progress"), ("done", "Done"), ("failed", "Nothing imported")],
                default="done",
                max_length=6,
            ),
        ),
        migrations.AddField(
            model_name="promptimport",
            name="upload",
            field=models.CharField(blank=True, help_text="The waiting file, under the artifact root.", max_length=200),
        ),
        migrations.AddIndex(
            model_name="prompt",
            index=models.Index(fields=["project", "category", "-id"], name="prompt_category"),
        ),
    ]
