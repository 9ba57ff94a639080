"""The tasks of a round, and the hidden slots that do not count in it, are found by an index: its page and its gates count them."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("assignments", "0008_pace_covers_pay")]

    operations = [
        migrations.AddIndex("task", models.Index(fields=["project", "round_number"], name="task_rounds")),
        migrations.AddIndex("slot", models.Index(fields=["id"], condition=Q(priority=-32768), name="slot_hidden")),
    ]
