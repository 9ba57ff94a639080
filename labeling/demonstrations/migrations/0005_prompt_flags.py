"""What the author of a demonstration says of its prompt."""

from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("demonstrations", "0004_days")]

    operations = [
        migrations.AddField(
            model_name="demonstration",
            name="prompt_flags",
            field=ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("ambiguous", "Ambiguous"),
                        ("sensitive", "Sensitive content"),
                        ("identity", "Identity dependent"),
                        ("closed_domain", "Closed domain"),
                        ("continuation", "Continuation style"),
                        ("asks_opinion", "Requests an opinion, advice or a moral judgement"),
                        ("constraints", "Explicit safety or other constraints"),
                        ("unclear_intent", "Intent unclear"),
                    ],
                    max_length=20,
                ),
                default=list,
                size=None,
            ),
        ),
    ]
