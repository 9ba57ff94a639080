from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0006_asked_flags")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="requires_screening",
            field=models.BooleanField(default=False, help_text="New contractors qualify first."),
        )
    ]
