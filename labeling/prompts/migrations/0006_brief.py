"""A prompt can be a brief: what labelers are asked to write prompts for."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A prompt can be a brief: what labelers are asked to write prompts for."""

    dependencies = [("prompts", "0005_counts")]
    operations = [
        migrations.AlterField(
            model_name="prompt",
            name="state",
            field=models.CharField(
                choices=[
                    ("active", "Active"),
                    ("quarantined", "Quarantined"),
                    ("withdrawn", "Withdrawn"),
                    ("brief", "Brief"),
                ],
                default="active",
                max_length=12,
            ),
        ),
    ]
