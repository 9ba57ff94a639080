"""The REST API, `/api/v1/`: one include per app, plus the OpenAPI schema."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("", include("labeling.prompts.api")),
    path("", include("labeling.assignments.api")),
    path("", include("labeling.checkpoints.api")),
    path("", include("labeling.datasets.api")),
    path("", include("labeling.runs.api")),
    path("", include("labeling.rounds.api")),
]
