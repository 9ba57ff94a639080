"""Following the chain of events, and indexes for looking things up in them."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0004_cache"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ChainCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("last", models.BigIntegerField(default=0, help_text="The last event whose hash was found right.")),
                ("hash", models.CharField(blank=True, max_length=64)),
                (
                    "broken_at",
                    models.BigIntegerField(
                        help_text="The first event whose hash was wrong, in the newest full look.", null=True
                    ),
                ),
                (
                    "complete_at",
                    models.DateTimeField(help_text="When the whole chain was last followed to its end.", null=True),
                ),
                ("complete_until", models.BigIntegerField(default=0, help_text="The last event of that look.")),
            ],
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["project_id", "verb", "-id"], name="event_by_verb"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["at"], name="event_by_time"),
        ),
    ]
