"""API permissions: nothing is open unless a view says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import BasePermission

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


class DenyAll(BasePermission):
    """The default: a view that forgets to name its policy is closed."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return False
