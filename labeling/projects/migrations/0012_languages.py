"""A member's languages, and those an invitation names."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    """A member's languages, and those an invitation names."""

    dependencies = [("projects", "0011_evaluation_rule")]
    operations = [
        migrations.AddField(
            name,
            "languages",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=12),
                blank=True,
                db_default=[],
                default=list,
                help_text="BCP 47 codes of what the person works in.",
                size=None,
            ),
        )
        for name in ("membership", "invitation")
    ]
