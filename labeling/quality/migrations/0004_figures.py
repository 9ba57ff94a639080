"""What the sweep computes for the quality page: figures, disputed comparisons, everybody's own agreement by week."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("comparisons", "0003_immutable"),
        ("projects", "0003_review"),
        ("quality", "0003_reward_scores"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Summary",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("figures", models.JSONField()),
                (
                    "basis",
                    models.CharField(
                        help_text="Of what it was computed; another basis asks for another summary.", max_length=200
                    ),
                ),
                ("newest_ranking", models.BigIntegerField(default=0)),
                ("seconds", models.FloatField(help_text="How long it took; the next one waits for ten times as long.")),
                ("computed_at", models.DateTimeField()),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quality_summary",
                        to="projects.project",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Dispute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("round_number", models.PositiveIntegerField(null=True)),
                ("labelers", models.PositiveSmallIntegerField()),
                ("disagreement", models.FloatField()),
                (
                    "comparison",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="dispute", to="comparisons.comparison"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["project", "-disagreement", "-id"], name="dispute_list")],
            },
        ),
        migrations.CreateModel(
            name="WeeklyAgreement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("week", models.DateField()),
                ("agreement", models.FloatField()),
                ("low", models.FloatField()),
                ("high", models.FloatField()),
                ("pairs", models.PositiveIntegerField()),
                (
                    "labeler",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project"
                    ),
                ),
            ],
            options={
                "ordering": ["week"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "labeler", "week"), name="one_agreement_per_labeler_and_week"
                    )
                ],
            },
        ),
    ]
