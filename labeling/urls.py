"""Every address of the site."""

from django.contrib import admin
from django.urls import include, path

from labeling.core import views as core

urlpatterns = [
    path("healthz", core.healthz, name="healthz"),
    path("readyz", core.readyz, name="readyz"),
    path("back-door/", admin.site.urls),
    path("api/v1/", include("labeling.api")),
    path("account/", include("labeling.people.urls")),
    path("account/", include("allauth.urls")),
    path("", include("labeling.rounds.urls")),
    path("", include("labeling.projects.urls")),
    path("", include("labeling.prompts.urls")),
    path("", include("labeling.assignments.urls")),
    path("", include("labeling.demonstrations.urls")),
    path("", include("labeling.comparisons.urls")),
    path("", include("labeling.quality.urls")),
    path("", include("labeling.checkpoints.urls")),
    path("", include("labeling.datasets.urls")),
    path("", include("labeling.runs.urls")),
]

handler400 = "labeling.core.views.bad_request"
handler403 = "labeling.core.views.forbidden"
handler404 = "labeling.core.views.not_found"
handler500 = "labeling.core.views.server_error"
