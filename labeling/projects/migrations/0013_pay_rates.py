"""What an hour of active time pays, from which day on, and the project's currency and living wage."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import labeling.projects.currencies


def rate(help_text, **more):
    """A column for an amount per hour."""
    bounds = [django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(1_000_000)]
    return models.DecimalField(
        null=True, blank=True, max_digits=9, decimal_places=2, validators=bounds, help_text=help_text, **more
    )


class Migration(migrations.Migration):
    """What an hour of active time pays, from which day on, and the project's currency and living wage."""

    dependencies = [
        ("projects", "0012_languages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            "project",
            "currency",
            models.CharField(
                blank=True,
                db_default="",
                help_text="What rates and amounts are in: an ISO 4217 code.",
                max_length=3,
                validators=[labeling.projects.currencies.known_currency],
            ),
        ),
        migrations.AddField("project", "living_wage", rate("Per hour, to compare rates with.")),
        migrations.AddField("invitation", "pay_rate", rate("Per hour of active time, from the day they join.")),
        migrations.CreateModel(
            name="PayRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("rate", rate("Per hour of active time; empty: none.")),
                ("since", models.DateField(help_text="The first day (UTC) it holds; until the next one.")),
                ("set_at", models.DateTimeField(auto_now=True)),
                (
                    "membership",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="pay_rates", to="projects.membership"
                    ),
                ),
                (
                    "set_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"ordering": ["-since"]},
        ),
        migrations.AddConstraint(
            "payrate", models.UniqueConstraint(fields=("membership", "since"), name="one_pay_rate_per_day")
        ),
        migrations.AddConstraint(
            "payrate",
            models.CheckConstraint(
                condition=models.Q(rate=None) | models.Q(rate__gte=0), name="no_pay_rate_is_negative"
            ),
        ),
    ]
