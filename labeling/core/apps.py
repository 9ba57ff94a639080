from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CoreConfig(AppConfig):
    name = "labeling.core"
    label = "core"

    def ready(self) -> None:
        """Know the words that rows keep, of every room."""
        autodiscover_modules("kept_words")
