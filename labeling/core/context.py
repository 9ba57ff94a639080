"""What every page needs: the navigation for this person's role."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """`project` and `membership` as the view set them on the request, for the navigation."""
    return {"project": getattr(request, "project", None), "membership": getattr(request, "membership", None)}
