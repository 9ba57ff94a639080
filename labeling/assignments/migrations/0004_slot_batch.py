"""A slot knows its batch, so that counting a batch's judgements reads one index."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """A slot knows its batch."""

    dependencies = [
        ("assignments", "0003_late_work"),
        ("projects", "0004_saved_views"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="slot",
            name="batch",
            field=models.ForeignKey(
                db_index=False,
                help_text="The task's.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="slots",
                to="assignments.taskbatch",
            ),
        ),
        migrations.RunSQL(
            "UPDATE assignments_slot AS s SET batch_id = t.batch_id FROM assignments_task AS t WHERE t.id = s.task_id",
            migrations.RunSQL.noop,
        ),
    ]
