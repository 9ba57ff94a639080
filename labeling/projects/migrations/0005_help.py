from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0004_saved_views")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="contact",
            field=models.CharField(
                blank=True,
                default="",
                help_text="How labelers get help; they read it on their page.",
                max_length=300,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="project",
            name="next_work",
            field=models.CharField(
                blank=True,
                default="",
                help_text="When more work comes, for when there is none.",
                max_length=300,
            ),
            preserve_default=False,
        ),
    ]
