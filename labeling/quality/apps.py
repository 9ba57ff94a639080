from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "labeling.quality"
    label = "quality"

    def ready(self) -> None:
        """Show returned work on its author's start page; give people who qualify their screening work."""
        from labeling.assignments import qualifying, returned
        from labeling.quality import review_selectors, screening_results, screening_work

        qualifying.register(qualifying.Screening(claim=screening_work.claim_next, steps=screening_results.steps))
        returned.register(review_selectors.returned_to)
