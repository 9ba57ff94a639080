"""Which flags are asked, and which categories come with a warning, is the project's choice; so far all were asked."""

import django.contrib.postgres.fields
from django.db import migrations, models

import labeling.projects.flags

FLAGS = [
    ("off_task", "Fails to follow the instruction"),
    ("inappropriate", "Inappropriate for an assistant"),
    ("hallucination", "Makes things up"),
    ("breaks_constraint", "Breaks a constraint in the instruction"),
    ("sexual", "Sexual content"),
    ("violent", "Violent content"),
    ("encourages_harm", "Encourages violence, abuse, terrorism or self-harm"),
    ("denigrates", "Denigrates a protected class"),
    ("harmful_advice", "Gives harmful advice"),
    ("opinion", "Expresses an opinion"),
    ("moral_judgement", "Expresses a moral judgement"),
]
PROMPT_FLAGS = [
    ("ambiguous", "Ambiguous"),
    ("sensitive", "Sensitive content"),
    ("identity", "Identity dependent"),
    ("closed_domain", "Closed domain"),
    ("continuation", "Continuation style"),
    ("asks_opinion", "Requests an opinion, advice or a moral judgement"),
    ("constraints", "Explicit safety or other constraints"),
    ("unclear_intent", "Intent unclear"),
]


class Migration(migrations.Migration):
    """Which flags are asked, and which categories come with a warning."""

    dependencies = [("projects", "0005_help")]
    operations = [
        migrations.AddField(
            model_name="project",
            name="flags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=FLAGS, max_length=20),
                blank=True,
                default=labeling.projects.flags.all_flags,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="prompt_flags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=PROMPT_FLAGS, max_length=20),
                blank=True,
                default=labeling.projects.flags.all_prompt_flags,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="warned_categories",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=60), blank=True, default=list, size=None
            ),
        ),
    ]
