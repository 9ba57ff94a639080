from django.apps import AppConfig


class QualityConfig(AppConfig):
    name = "labeling.quality"
    label = "quality"

    def ready(self) -> None:
        """Give the start page returned work and agreement by week, people who qualify their screening work, and the list of people
        how everybody did."""
        from labeling.assignments import qualifying, returned, start
        from labeling.people import erasure
        from labeling.projects import standing
        from labeling.quality import (
            forgetting,
            own_work,
            review_selectors,
            screening_results,
            screening_work,
            work_report,
        )

        qualifying.register(qualifying.Screening(claim=screening_work.claim_next, steps=screening_results.steps))
        returned.register(
            returned.Source(
                rows=review_selectors.returned_to, read=review_selectors.read_returned, note=review_selectors.note_on
            )
        )
        standing.register(standing.Source(scores=screening_results.scores_of, seconds=work_report.seconds_this_month))
        start.register(own_work.agreement_by_week)
        erasure.register(forgetting.forget)
