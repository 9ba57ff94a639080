"""Snapshot pages."""

from django.urls import path

from labeling.datasets import views

ONE = "p/<slug:slug>/snapshots/<uuid:snapshot>/"
urlpatterns = [
    path("p/<slug:slug>/snapshots/", views.snapshots, name="snapshots"),
    path("p/<slug:slug>/snapshots/new/", views.snapshot_new, name="snapshot-new"),
    path(ONE, views.snapshot, name="snapshot"),
    path(ONE + "files/<str:name>", views.snapshot_file, name="snapshot-file"),
    path(ONE + "verify/", views.snapshot_verify, name="snapshot-verify"),
    path(ONE + "retry/", views.snapshot_retry, name="snapshot-retry"),
]
