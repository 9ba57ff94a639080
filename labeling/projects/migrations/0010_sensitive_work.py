"""People say whether they take work that comes with a warning."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0009_leak_names")]

    operations = [
        migrations.AddField(
            model_name="membership",
            name="takes_sensitive",
            field=models.BooleanField(
                db_default=False, default=False, help_text="Takes tasks of the project's warned categories."
            ),
        ),
    ]
