"""A demonstration never changes; an edit is a new row."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER demonstrations_are_immutable BEFORE UPDATE ON demonstrations_demonstration
    FOR EACH ROW EXECUTE FUNCTION loop_refuse();
"""

BACK = """
DROP TRIGGER demonstrations_are_immutable ON demonstrations_demonstration;
"""


class Migration(migrations.Migration):
    """A demonstration never changes; an edit is a new row."""

    dependencies = [("demonstrations", "0002_links"), ("core", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
