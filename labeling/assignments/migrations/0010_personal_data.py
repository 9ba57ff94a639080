"""People may pass on a task because its prompt holds personal data."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """People may pass on a task because its prompt holds personal data."""

    dependencies = [("assignments", "0009_task_rounds")]
    operations = [
        migrations.AlterField(
            "skip",
            "reason",
            models.CharField(
                choices=[
                    ("unclear", "The prompt is unclear"),
                    ("outside", "Outside my knowledge"),
                    ("unsafe", "Unsafe for me"),
                    ("broken", "Broken text"),
                    ("personal", "It holds somebody's personal data"),
                    ("other", "Something else"),
                ],
                max_length=8,
            ),
        )
    ]
