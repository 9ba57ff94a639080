"""Pages of a project, its people, invitations and guideline."""

from django.urls import path

from labeling.projects import views

urlpatterns = [
    path("projects/", views.projects, name="projects"),
]
