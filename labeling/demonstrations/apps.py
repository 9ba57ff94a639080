from django.apps import AppConfig


class DemonstrationsConfig(AppConfig):
    name = "labeling.demonstrations"
    label = "demonstrations"

    def ready(self) -> None:
        """Make this kind of work known to assignments."""
        from labeling.assignments import kinds
        from labeling.demonstrations import forms, services, views

        kinds.register(
            kinds.Kind(
                name=services.KIND,
                action="Write a demonstration",
                noun="demonstrations",
                icon="pen",
                show=views.show,
                receive=views.receive,
                recall=services.recall_demonstration,
                batch_form=forms.DemonstrationBatchForm,
            )
        )
