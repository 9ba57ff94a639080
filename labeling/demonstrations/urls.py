"""Pages of demonstrations."""

from django.urls import path

from labeling.demonstrations import views

urlpatterns = [
    path("p/<slug:slug>/work/<uuid:slot>/preview/", views.preview, name="demonstration-preview"),
]
