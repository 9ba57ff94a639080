from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "labeling.quality"
    label = "quality"

    def ready(self) -> None:
        """Give the start page returned work and agreement by week, and people who qualify their screening work."""
        from labeling.assignments import qualifying, returned, start
        from labeling.people import erasure
        from labeling.quality import forgetting, own_work, review_selectors, screening_results, screening_work

        qualifying.register(qualifying.Screening(claim=screening_work.claim_next, steps=screening_results.steps))
        returned.register(
            returned.Source(
                rows=review_selectors.returned_to, read=review_selectors.read_returned, note=review_selectors.note_on
            )
        )
        start.register(own_work.agreement_by_week)
        erasure.register(forgetting.forget)
