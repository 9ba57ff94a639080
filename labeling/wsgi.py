"""The WSGI entry point: `granian --interface wsgi labeling.wsgi:application`."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeling.settings")
application = get_wsgi_application()
import_module(settings.ROOT_URLCONF)  # with all views, which the first request would otherwise wait for

# What is loaded now stays: the collector need not walk through it again and again while somebody waits for a page.
gc.collect()
gc.freeze()
