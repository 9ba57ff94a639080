from django.apps import AppConfig


class ComparisonsConfig(AppConfig):
    name = "labeling.comparisons"
    label = "comparisons"
