from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext


class DemonstrationsConfig(AppConfig):
    name = "labeling.demonstrations"
    label = "demonstrations"

    def ready(self) -> None:
        """Make these kinds of work known to assignments."""
        from labeling.assignments import asides, kinds
        from labeling.demonstrations import forms, models, own, own_views, services, views

        kinds.register(
            kinds.Kind(
                name=models.KIND,
                action=_("Write a demonstration"),
                noun=_("demonstrations"),
                counted=lambda n: ngettext("%(n)d demonstration", "%(n)d demonstrations", n) % {"n": n},
                icon="pen",
                show=views.show,
                receive=views.receive,
                said=services.said,
                recall=services.recall_demonstration,
                is_frozen=services.is_frozen,
                batch_form=forms.DemonstrationBatchForm,
            )
        )
        kinds.register(
            kinds.Kind(
                name=models.OWN_KIND,
                action=_("Write a prompt and its answer"),
                noun=_("written prompts"),
                counted=lambda n: ngettext("%(n)d written prompt", "%(n)d written prompts", n) % {"n": n},
                icon="pen",
                show=own_views.show,
                receive=own_views.receive,
                said=own.said_own,
                recall=own.recall_own,
                is_frozen=services.is_frozen,
                batch_form=forms.OwnPromptBatchForm,
            )
        )
        asides.register(asides.Aside(keep=services.keep_aside, said=services.said_aside, drop=services.delete))
