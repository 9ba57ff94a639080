"""Whether and when somebody was erased."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0002_language")]

    operations = [
        migrations.AddField(
            "user",
            "erased_at",
            models.DateTimeField(null=True, editable=False, help_text="Since when nobody knows who this was."),
        ),
    ]
