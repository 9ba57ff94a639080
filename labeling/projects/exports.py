"""Lists as files: what the filters match, for whoever may see the list. Taking data away is an event, so it is a POST."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import StreamingHttpResponse

from labeling.core import audit
from labeling.core.spreadsheet import csv_file
from labeling.projects.access import ProjectRequest
from labeling.projects.saved_views import filters_of


def exported(request: ProjectRequest, what: str, rows: Iterable[Iterable[object]]) -> StreamingHttpResponse:
    """A CSV file of these rows, the header first; the audit log says who took it and under which filters of the address."""
    said = {"filters": filters_of(request.GET.urlencode())[:500]}
    audit.record(f"exported {what}", request.project, by=request.user, after=said)
    return csv_file(f"{request.project.slug}-{what.replace(' ', '-')}", rows)
