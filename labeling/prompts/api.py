"""Prompts over REST."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.urls import path
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.core.errors import BadInput
from labeling.core.pagination import paginate
from labeling.core.serializers import ErrorSerializer, StrictSerializer
from labeling.people.permissions import scoped
from labeling.prompts import selectors, services
from labeling.prompts.models import Prompt, PromptImport

FILTERS = {"split": Prompt.Split.values, "state": Prompt.State.values, "kind": Prompt.Kind.values}
TEXTS = ("category", "owner", "text")
CURSORS = ("before", "after")


class MessageSerializer(serializers.Serializer[Any]):
    """One turn."""

    role = serializers.ChoiceField(choices=["system", "user", "assistant"])
    content = serializers.CharField()


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    """One prompt."""

    id = serializers.UUIDField(source="public_id")
    owner = serializers.CharField(source="owner_key")
    messages = MessageSerializer(many=True)

    class Meta:
        model = Prompt
        fields = ["id", "messages", "kind", "category", "owner", "split", "state", "metadata", "created_at"]


class PromptPageSerializer(serializers.Serializer[Any]):
    """Newest first. `older` and `newer` are query strings of the neighbouring pages, "" where there is none."""

    prompts = PromptSerializer(many=True)
    older = serializers.CharField()
    newer = serializers.CharField()


class PromptRowSerializer(serializers.Serializer[Any]):
    """One prompt to import: `prompt` or `messages`, one of the two."""

    prompt = serializers.CharField(required=False, help_text="What the user asks.")
    messages = MessageSerializer(many=True, required=False, help_text="Turns; the last is the user's.")
    owner = serializers.CharField(required=False, help_text="Customer or user: all of one owner is in one split.")
    category = serializers.CharField(required=False)
    kind = serializers.ChoiceField(choices=Prompt.Kind.choices, required=False)
    split = serializers.ChoiceField(choices=Prompt.Split.choices, required=False)
    id = serializers.CharField(required=False, help_text="Your own key; kept in metadata.")
    metadata = serializers.DictField(required=False)


class PromptImportBodySerializer(StrictSerializer):
    """The body of an import."""

    prompts = serializers.ListField(allow_empty=False, max_length=100_000)
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, default="API", max_length=200, help_text="Where they come from."
    )


class ImportSchemaSerializer(serializers.Serializer[Any]):
    """The body of an import, for the schema."""

    prompts = PromptRowSerializer(many=True)
    source = serializers.CharField(required=False)  # type: ignore[assignment]


class PromptImportSerializer(serializers.ModelSerializer[PromptImport]):
    """What an import made of its rows; the counts of the report add up to `rows`."""

    class Meta:
        model = PromptImport
        fields = ["id", "source", "sha256", "report", "created_at"]


class RowErrorSerializer(serializers.Serializer[Any]):
    """One bad row, counted from 1."""

    line = serializers.IntegerField()
    field = serializers.CharField()
    detail = serializers.CharField()


class ImportErrorSerializer(ErrorSerializer):
    """A refused import: nothing was kept."""

    errors = RowErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class PromptList(APIView):
    """The prompts of a project."""

    permission_classes = [scoped("tasks:read")]

    @extend_schema(
        operation_id="prompts_list",
        parameters=[
            *(OpenApiParameter(name, str, enum=values) for name, values in FILTERS.items()),
            *(OpenApiParameter(name, str) for name in TEXTS),
            *(OpenApiParameter(name, int, description="Taken from `older` or `newer`.") for name in CURSORS),
        ],
        responses={200: PromptPageSerializer, 400: ErrorSerializer},
    )
    def get(self, request: Request, slug: str) -> Response:
        """Fifty prompts a page, newest first."""
        rows = selectors.prompts(request.project, **asked(request))  # type: ignore[attr-defined]
        found = paginate(request._request, rows)
        body = {"prompts": PromptSerializer(found.rows, many=True).data, "older": found.older, "newer": found.newer}
        return Response(body)


class PromptImportApi(APIView):
    """Import prompts."""

    permission_classes = [scoped("prompts:write")]

    @extend_schema(
        operation_id="prompts_import",
        request=ImportSchemaSerializer,
        responses={201: PromptImportSerializer, 400: ImportErrorSerializer},
        examples=[
            OpenApiExample(
                "Two prompts",
                {
                    "prompts": [
                        {"prompt": "Why is the sky blue?", "owner": "customer-7"},
                        {"prompt": "Name three rivers."},
                    ]
                },
                request_only=True,
            )
        ],
    )
    def post(self, request: Request, slug: str) -> Response:
        """All or nothing: a bad row refuses the whole import and is named in `errors`."""
        if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20
            raise BadInput(
                _("The body is larger than %(limit)s MiB: send fewer prompts at a time.") % {"limit": limit},
                field="prompts",
            )
        body = PromptImportBodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        batch = services.import_prompts(
            project=request.project,  # type: ignore[attr-defined]
            lines=body.validated_data["prompts"],
            fmt="objects",
            by=request.user,  # type: ignore[arg-type]
            source=body.validated_data["source"],
        )
        return Response(PromptImportSerializer(batch).data, status=201)


def asked(request: Request) -> dict[str, Any]:
    """The filters in the query string; BadInput for one that is not known."""
    query = request.query_params
    if unknown := sorted(set(query) - set(FILTERS) - set(TEXTS) - set(CURSORS)):
        known = ", ".join([*FILTERS, *TEXTS, *CURSORS])
        raise BadInput(
            _("There is no filter “%(unknown)s”; known: %(known)s.") % {"unknown": unknown[0], "known": known},
            field=unknown[0],
        )
    for name, values in FILTERS.items():
        if query.get(name) and query[name] not in values:
            raise BadInput(
                _("“%(name)s” is one of %(values)s.") % {"name": name, "values": ", ".join(values)}, field=name
            )
    return {name: query[name] for name in (*FILTERS, *TEXTS) if query.get(name)}


urlpatterns = [
    path("projects/<slug:slug>/prompts/", PromptList.as_view(), name="api-prompts"),
    path("projects/<slug:slug>/prompts/import/", PromptImportApi.as_view(), name="api-prompts-import"),
]
