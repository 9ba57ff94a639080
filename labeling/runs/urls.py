"""Run pages."""

from django.urls import path

from labeling.runs import views

ONE = "p/<slug:slug>/runs/<uuid:run>/"
urlpatterns = [
    path("p/<slug:slug>/runs/", views.runs, name="runs"),
    path("p/<slug:slug>/runs/new/", views.run_new, name="run-new"),
    path(ONE, views.run, name="run"),
    path(ONE + "stop/", views.run_stop, name="run-stop"),
]
