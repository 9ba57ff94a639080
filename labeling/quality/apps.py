from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "labeling.quality"
    label = "quality"

    def ready(self) -> None:
        """Show returned work on its author's start page."""
        from labeling.assignments import returned
        from labeling.quality import review_selectors

        returned.register(review_selectors.returned_to)
