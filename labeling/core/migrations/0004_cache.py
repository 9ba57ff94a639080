"""The table behind the shared cache: limits on guessing and used codes hold for all web processes together."""

from django.db import migrations

FORWARD = """
CREATE TABLE IF NOT EXISTS core_cache (
    cache_key varchar(255) PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX IF NOT EXISTS core_cache_expires ON core_cache (expires);
"""

BACK = "DROP TABLE core_cache;"


class Migration(migrations.Migration):
    """The shared cache."""

    dependencies = [("core", "0003_append_only")]
    operations = [migrations.RunSQL(FORWARD, BACK)]
