from django.apps import AppConfig


class DemonstrationsConfig(AppConfig):
    name = "labeling.demonstrations"
    label = "demonstrations"
