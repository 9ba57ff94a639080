from django.apps import AppConfig


class CheckpointsConfig(AppConfig):
    name = "labeling.checkpoints"
    label = "checkpoints"
