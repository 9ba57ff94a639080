from django.apps import AppConfig


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
                action="Write a demonstration",
                noun="demonstrations",
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
                action="Write a prompt and its answer",
                noun="written prompts",
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
