from django.apps import AppConfig


class AssignmentsConfig(AppConfig):
    name = "labeling.assignments"
    label = "assignments"

    def ready(self) -> None:
        """Say what is forgotten with a person."""
        from labeling.assignments.forgetting import forget
        from labeling.people import erasure

        erasure.register(forget)
