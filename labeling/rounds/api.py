"""API."""

urlpatterns: list[object] = []
