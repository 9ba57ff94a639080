"""How much is controlled and reviewed."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0002_published_guidelines"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="control_percent",
            field=models.PositiveSmallIntegerField(
                default=0,
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(50)],
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="requires_review",
            field=models.BooleanField(default=False, help_text="Only accepted work enters a snapshot."),
        ),
        migrations.AddField(
            model_name="project",
            name="review_controls",
            field=models.BooleanField(default=True),
        ),
        migrations.AddField(
            model_name="project",
            name="review_first",
            field=models.PositiveSmallIntegerField(
                default=0,
                validators=[
                    django.core.validators.MinValueValidator(0),
                    django.core.validators.MaxValueValidator(1000),
                ],
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="review_flagged",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="project",
            name="review_percent",
            field=models.PositiveSmallIntegerField(
                default=0,
                validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(100)],
            ),
        ),
    ]
