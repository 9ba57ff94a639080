"""What reward models think of completions they were not trained on."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checkpoints", "0002_links"),
        ("comparisons", "0003_immutable"),
        ("quality", "0002_screening"),
    ]

    operations = [
        migrations.CreateModel(
            name="RewardScore",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("score", models.FloatField()),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="scores", to="checkpoints.checkpoint"
                    ),
                ),
                (
                    "completion",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="scores", to="comparisons.completion"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("completion", "checkpoint"), name="one_score_per_completion_and_checkpoint"
                    )
                ],
            },
        ),
    ]
