"""A guideline says what counts in final evaluations."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A guideline says what counts in final evaluations."""

    dependencies = [("projects", "0010_sensitive_work")]
    operations = [
        migrations.AddField(
            "guideline",
            "evaluation",
            models.TextField(
                blank=True,
                db_default="",
                help_text="What counts instead in final evaluations: Ouyang et al. 2022 put truthfulness and harmlessness first there.",
            ),
        )
    ]
