"""Checkpoint pages."""

from django.urls import path

from labeling.checkpoints import views

ALL = "p/<slug:slug>/checkpoints/"
ONE = ALL + "<uuid:checkpoint>/"
urlpatterns = [
    path(ALL, views.checkpoints, name="checkpoints"),
    path(ALL + "base/", views.register_base, name="checkpoint-base"),
    path(ONE, views.checkpoint, name="checkpoint"),
    path(ONE + "promote/", views.promote, name="checkpoint-promote"),
    path(ONE + "retire/", views.retire, name="checkpoint-retire"),
    path(ONE + "restore/", views.restore, name="checkpoint-restore"),
]
