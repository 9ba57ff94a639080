"""A request id for every request, and one place that turns our errors into pages or JSON."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from labeling.core.errors import LoopError

log = logging.getLogger("labeling.request")
request_id: ContextVar[str] = ContextVar("request_id", default="")
Handler = Callable[[HttpRequest], HttpResponse]
UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "microphone",
    "midi",
    "payment",
    "usb",
)
PERMISSIONS = ", ".join(f"{feature}=()" for feature in UNUSED)  # no page asks for any of these (WEB-2)


class RequestIdMiddleware:
    """Give the request an id, answer with it, and let audit events find it."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = request_id.set(uuid.uuid4().hex)
        try:
            response = self.get_response(request)
        finally:
            mark = request_id.get()
            request_id.reset(token)
        response["X-Request-Id"] = mark
        response["Permissions-Policy"] = PERMISSIONS
        if getattr(request, "user", None) is not None and request.user.is_authenticated:
            response.setdefault("Cache-Control", "no-store")
        return response


class ErrorPageMiddleware:
    """Turn a LoopError that a view raised into a page that says what to do, or into JSON for scripts."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, problem: Exception) -> HttpResponse | None:
        """Django calls this when a view raises."""
        if not isinstance(problem, LoopError):
            return None
        if problem.status >= 500:
            log.warning("%s: %s", problem.code, problem.detail)
        if "application/json" in request.headers.get("Accept", ""):
            return JsonResponse(problem.as_json(), status=problem.status)
        return render(request, "error.html", {"problem": problem}, status=problem.status)
