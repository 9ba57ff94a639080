"""A run that is over stays as it ended."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER terminal_runs_stay_terminal BEFORE UPDATE OF state, attempt, result, error, output_id ON runs_run
    FOR EACH ROW WHEN (OLD.state IN ('succeeded', 'failed', 'cancelled')) EXECUTE FUNCTION loop_refuse();
"""

BACK = """
DROP TRIGGER terminal_runs_stay_terminal ON runs_run;
"""


class Migration(migrations.Migration):
    """A run that is over stays as it ended."""

    dependencies = [("runs", "0001_initial"), ("core", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
