"""Looking for a text anywhere in a conversation reads an index of trigrams, not every prompt."""

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

FORWARD = "CREATE INDEX prompt_text ON prompts_prompt USING gin (upper(messages::text) gin_trgm_ops)"
BACK = "DROP INDEX prompt_text"


class Migration(migrations.Migration):
    """Looking for a text in prompts."""

    dependencies = [("prompts", "0003_import_jobs")]
    operations = [TrigramExtension(), migrations.RunSQL(FORWARD, BACK)]
