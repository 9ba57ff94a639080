"""A kept draft remembers the slot it was written in: each slot of a comparison shows its responses in an order of its own."""

import django.db.models.deletion
from django.db import migrations, models

# Where a task has one slot, that is the one; elsewhere the origin of older drafts is not known.
FILL = """
UPDATE assignments_keptdraft AS kept SET slot_id = single.id
FROM (SELECT task_id, min(id) AS id FROM assignments_slot GROUP BY task_id HAVING count(*) = 1) AS single
WHERE single.task_id = kept.task_id
"""


class Migration(migrations.Migration):
    """A kept draft remembers the slot it was written in."""

    dependencies = [("assignments", "0005_slot_counts")]
    operations = [
        migrations.AddField(
            model_name="keptdraft",
            name="slot",
            field=models.ForeignKey(
                help_text="Where it was written.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="assignments.slot",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
