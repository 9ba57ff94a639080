from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext


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
                action=_("Compare responses"),
                noun=_("comparisons"),
                counted=lambda n: ngettext("%(n)d comparison", "%(n)d comparisons", n) % {"n": n},
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
