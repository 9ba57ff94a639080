"""Controls may say which completions are harmful, and the screening asks how often that is seen (Ouyang et al. 2022, B.1)."""

import django.contrib.postgres.fields
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quality", "0004_figures")]

    operations = [
        migrations.AddField(
            model_name="controlitem",
            name="harmful",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                help_text="Ids of the completions known to deserve a flag of harm (projects.flags.HARM); null: not known.",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="screeningrule",
            name="min_flags",
            field=models.PositiveSmallIntegerField(
                default=75, validators=[django.core.validators.MaxValueValidator(100)]
            ),
        ),
    ]
