"""Completions that give their model away are listed."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("comparisons", "0003_immutable"),
        ("projects", "0009_leak_names"),
    ]

    operations = [
        migrations.CreateModel(
            name="HeldBack",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", models.CharField(help_text="What gives the model away.", max_length=120)),
                (
                    "state",
                    models.CharField(
                        choices=[("held", "Held back"), ("released", "Released"), ("kept_out", "Kept out")],
                        default="held",
                        max_length=8,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "completion",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="held_back",
                        to="comparisons.completion",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="held_back", to="projects.project"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["project", "state", "-id"], name="held_back_lists")],
            },
        ),
    ]
