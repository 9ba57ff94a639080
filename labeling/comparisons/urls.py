"""Pages of comparisons; ranking itself is a page of assignments."""

from django.urls import path

from labeling.comparisons import leak_views

P = "p/<slug:slug>/leaks/"

urlpatterns = [
    path(P, leak_views.leaks, name="leaks"),
    path(P + "decide/", leak_views.leaks_decide, name="leaks-decide"),
]
