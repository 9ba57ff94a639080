"""A published guideline never changes."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER published_guidelines_are_immutable BEFORE UPDATE ON projects_guideline
    FOR EACH ROW WHEN (OLD.published_at IS NOT NULL) EXECUTE FUNCTION loop_refuse();
"""

BACK = """
DROP TRIGGER published_guidelines_are_immutable ON projects_guideline;
"""


class Migration(migrations.Migration):
    """A published guideline never changes."""

    dependencies = [("projects", "0001_initial"), ("core", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
