"""A review knows whose work it is and when it was sent, so that the pay report need not look at the work itself."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

WHOSE = "Whose work it is, also where a reviewer revised it."
WHEN = "When the author first sent the work."
FILL = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE quality_review AS review
SET author_id = coalesce(slot.labeler_id, work.labeler_id), submitted_at = coalesce(slot.submitted_at, work.created_at)
FROM comparisons_ranking AS work LEFT JOIN assignments_slot AS slot ON slot.id = work.slot_id AND NOT work.late
WHERE work.id = review.ranking_id;
UPDATE quality_review AS review
SET author_id = coalesce(slot.labeler_id, work.labeler_id), submitted_at = coalesce(slot.submitted_at, work.created_at)
FROM demonstrations_demonstration AS work LEFT JOIN assignments_slot AS slot ON slot.id = work.slot_id AND NOT work.late
WHERE work.id = review.demonstration_id;
"""


def author(**more: bool) -> models.ForeignKey:
    """The field, at first without a value."""
    protect = django.db.models.deletion.PROTECT
    return models.ForeignKey(help_text=WHOSE, on_delete=protect, related_name="+", to=settings.AUTH_USER_MODEL, **more)


class Migration(migrations.Migration):
    dependencies = [
        ("assignments", "0007_pace"),
        ("comparisons", "0004_held_back"),
        ("demonstrations", "0003_immutable"),
        ("quality", "0005_screening_flags"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("review", "author", author(null=True)),
        migrations.AddField("review", "submitted_at", models.DateTimeField(help_text=WHEN, null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.AlterField("review", "author", author()),
        migrations.AlterField("review", "submitted_at", models.DateTimeField(help_text=WHEN)),
    ]
