"""Refusals are one line in the log; errors keep their tracebacks."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from labeling.urls import handler403, handler404, handler500
from labeling.urls import urlpatterns as site

__all__ = ["handler403", "handler404", "handler500", "urlpatterns"]


def refuse(request: HttpRequest) -> HttpResponse:
    """A view that refuses."""
    raise PermissionDenied("not for you")


def fail(request: HttpRequest) -> HttpResponse:
    """A view with a fault."""
    raise ZeroDivisionError("a fault")


urlpatterns = [*site, path("refuse/", refuse), path("fail/", fail)]


@contextmanager
def console() -> Iterator[io.StringIO]:
    """What the configured console handler writes meanwhile."""
    handler = next(one for one in logging.getLogger().handlers if one.get_name() == "console")
    assert isinstance(handler, logging.StreamHandler)
    written = io.StringIO()
    earlier = handler.setStream(written)
    try:
        yield written
    finally:
        handler.setStream(earlier)


@pytest.mark.parametrize(
    ("address", "status", "line", "traced"),
    [
        ("/refuse/", 403, "WARNING django.request Forbidden (Permission denied): /refuse/", False),
        ("/missing/", 404, "WARNING django.request Not Found: /missing/", False),
        ("/fail/", 500, "ERROR django.request Internal Server Error: /fail/", True),
    ],
)
@pytest.mark.django_db
def test_only_a_fault_brings_its_traceback_into_the_log(address: str, status: int, line: str, traced: bool) -> None:
    with override_settings(ROOT_URLCONF=__name__), console() as written:
        assert Client(raise_request_exception=False).get(address).status_code == status
    assert line in written.getvalue()
    assert ("Traceback" in written.getvalue()) is traced
