"""A screening's decision keeps the figures it rests on, so that lists of people can show them; earlier ones are in the audit log."""

from django.db import migrations, models

SHARE = "Share of known pairs put in order when it was decided; null: none was asked."
FLAGS = "Share of completions of known harm flagged rightly when it was decided; null: none was asked."
GRADE = "Mean grade of the demonstrations when it was decided, 1 to 7; null: none was graded."
FILL = """
UPDATE quality_qualification AS qualification
SET agreement = (decision.after ->> 'agreement')::float,
    flagging = (decision.after ->> 'flagging')::float,
    grade = (SELECT avg(one::float) FROM regexp_split_to_table(decision.after ->> 'grades', ', ') AS one)
FROM (
    SELECT DISTINCT ON (object_id) object_id, after FROM core_event
    WHERE object_type = 'projects.membership' AND verb IN ('passed screening', 'failed screening')
    ORDER BY object_id, id DESC
) AS decision
WHERE decision.object_id = qualification.membership_id::text AND qualification.passed IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("core", "0005_follow_chain"), ("quality", "0006_review_author")]

    operations = [
        migrations.AddField("qualification", "agreement", models.FloatField(help_text=SHARE, null=True)),
        migrations.AddField("qualification", "flagging", models.FloatField(help_text=FLAGS, null=True)),
        migrations.AddField("qualification", "grade", models.FloatField(help_text=GRADE, null=True)),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]
