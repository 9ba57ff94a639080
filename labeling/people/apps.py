from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "labeling.people"
    label = "people"

    def ready(self) -> None:
        """Let drf-spectacular know our tokens."""
        from labeling.people import schema  # noqa: F401
