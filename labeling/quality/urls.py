"""Pages."""

from django.urls import path

from labeling.quality import views

urlpatterns = [path("p/<slug:slug>/quality/", views.quality, name="quality")]
