"""How many active hours a day, and how long without a break, before the pages say something."""

import django.core.validators
from django.db import migrations, models


def between(low, high):
    """Validators of a bounded number."""
    return [django.core.validators.MinValueValidator(low), django.core.validators.MaxValueValidator(high)]


class Migration(migrations.Migration):
    """How many active hours a day, and how long without a break, before the pages say something."""

    dependencies = [("projects", "0013_pay_rates")]
    operations = [
        migrations.AddField(
            "project",
            "daily_hours",
            models.PositiveSmallIntegerField(
                blank=True,
                null=True,
                help_text="Active hours a day after which a person gets no new work.",
                validators=between(1, 24),
            ),
        ),
        migrations.AddField(
            "project",
            "break_minutes",
            models.PositiveSmallIntegerField(
                db_default=60,
                default=60,
                help_text="Active time after which a break is suggested; 0: never.",
                validators=between(0, 480),
            ),
        ),
    ]
