from django.apps import AppConfig


class ComparisonsConfig(AppConfig):
    name = "labeling.comparisons"
    label = "comparisons"

    def ready(self) -> None:
        """Make this kind of work known to assignments."""
        from labeling.assignments import kinds
        from labeling.comparisons import forms, ranking, services, views

        kinds.register(
            kinds.Kind(
                name=services.KIND,
                action="Compare responses",
                noun="comparisons",
                icon="list",
                show=views.show,
                receive=views.receive,
                said=ranking.said,
                recall=ranking.recall_ranking,
                is_frozen=ranking.is_frozen,
                batch_form=forms.ComparisonBatchForm,
                carry=ranking.carry,
            )
        )
