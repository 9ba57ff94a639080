from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "labeling.projects"
    label = "projects"

    def ready(self) -> None:
        """Say what is forgotten with a person."""
        from labeling.people import erasure
        from labeling.projects.forgetting import forget

        erasure.register(forget)
