"""Completions and rankings never change; an edit is a new row."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER completions_are_immutable BEFORE UPDATE ON comparisons_completion FOR EACH ROW EXECUTE FUNCTION loop_refuse();
CREATE TRIGGER rankings_are_immutable BEFORE UPDATE ON comparisons_ranking FOR EACH ROW EXECUTE FUNCTION loop_refuse();
CREATE TRIGGER rankeditems_are_immutable BEFORE UPDATE ON comparisons_rankeditem FOR EACH ROW EXECUTE FUNCTION loop_refuse();
CREATE TRIGGER ratings_are_immutable BEFORE UPDATE ON comparisons_rating FOR EACH ROW EXECUTE FUNCTION loop_refuse();
"""

BACK = """
DROP TRIGGER completions_are_immutable ON comparisons_completion;
DROP TRIGGER rankings_are_immutable ON comparisons_ranking;
DROP TRIGGER rankeditems_are_immutable ON comparisons_rankeditem;
DROP TRIGGER ratings_are_immutable ON comparisons_rating;
"""


class Migration(migrations.Migration):
    """Completions and rankings never change; an edit is a new row."""

    dependencies = [("comparisons", "0002_links"), ("core", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
