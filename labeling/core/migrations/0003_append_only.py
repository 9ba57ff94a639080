"""Events are append-only; the sealing sweep may fill in a hash once."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION loop_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows cannot be changed (%)', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION loop_seal_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.hash = '' AND to_jsonb(NEW) - 'hash' = to_jsonb(OLD) - 'hash' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'core_event rows cannot be changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER events_are_append_only BEFORE UPDATE ON core_event FOR EACH ROW EXECUTE FUNCTION loop_seal_only();
CREATE TRIGGER events_are_kept BEFORE DELETE ON core_event FOR EACH ROW EXECUTE FUNCTION loop_refuse();
"""

BACK = """
DROP TRIGGER events_are_append_only ON core_event;
DROP TRIGGER events_are_kept ON core_event;
DROP FUNCTION loop_seal_only();
DROP FUNCTION loop_refuse();
"""


class Migration(migrations.Migration):
    """Events are append-only; the sealing sweep may fill in a hash once."""

    dependencies = [("core", "0002_links")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
