"""Pages of demonstrations."""

from django.urls import path

from labeling.demonstrations import own_views, views

urlpatterns = [
    path("p/<slug:slug>/work/<uuid:slot>/preview/", views.preview, name="demonstration-preview"),
    path("p/<slug:slug>/work/<uuid:slot>/conversation/", own_views.preview, name="own-preview"),
]
