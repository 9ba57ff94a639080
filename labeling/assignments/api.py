"""Batches of tasks over REST, and what the work screens' scripts call."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import QueryDict
from django.urls import path
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.assignments import claim, kinds, leases, selectors
from labeling.assignments.models import Slot, TaskBatch
from labeling.core.clock import db_now
from labeling.core.errors import BadInput
from labeling.core.pagination import paginate
from labeling.people.models import Role
from labeling.people.permissions import scoped
from labeling.projects.access import project_for_api


class Strict(serializers.Serializer[Any]):
    """Refuses keys it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        """As usual, after a look at the keys."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({unknown[0]: [f"Unknown field; known: {', '.join(self.fields)}."]})
        return super().to_internal_value(data)


class BatchSerializer(serializers.ModelSerializer[TaskBatch]):
    """One batch; `judgements` counts its slots by state."""

    id = serializers.UUIDField(source="public_id")
    judgements = serializers.SerializerMethodField()

    class Meta:
        model = TaskBatch
        fields = ["id", "kind", "title", "settings", "round_number", "created_at", "judgements"]

    def get_judgements(self, batch: TaskBatch) -> dict[str, int]:
        """Counted for all batches of a page at once."""
        counts = self.context["counts"][batch.pk]
        return {state: counts[state] for state in Slot.State.values}


class BatchRequest(Strict):
    """What to create. `checkpoints`, `samplers`, `k` and `purpose` are for comparisons, `prompt_kind` and `brief` for own prompts."""

    kind = serializers.CharField()
    title = serializers.CharField(required=False, allow_blank=True)
    split = serializers.CharField()
    category = serializers.CharField(required=False, allow_blank=True)
    limit = serializers.IntegerField(required=False)
    overlap = serializers.IntegerField(required=False)
    priority = serializers.IntegerField(required=False)
    checkpoints = serializers.ListField(child=serializers.UUIDField(), required=False)
    samplers = serializers.ListField(child=serializers.CharField(), required=False)
    k = serializers.IntegerField(required=False)
    purpose = serializers.CharField(required=False)
    prompt_kind = serializers.CharField(required=False)
    brief = serializers.CharField(required=False, allow_blank=True)


class BatchPage(serializers.Serializer[Any]):
    """One page of batches, newest first; `next` is the query string of the older ones, or empty."""

    results = BatchSerializer(many=True)
    next = serializers.CharField()


def as_json(batches: list[TaskBatch]) -> list[dict[str, Any]]:
    """Batches with their counts."""
    return list(BatchSerializer(batches, many=True, context={"counts": selectors.slot_counts(batches)}).data)


class BatchList(APIView):
    """List and create batches of tasks."""

    permission_classes = [scoped(read="tasks:read", write="tasks:write")]

    @extend_schema(
        responses=BatchPage, operation_id="tasks_list", parameters=[OpenApiParameter("before", int), OpenApiParameter("kind", str)]
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        """A page of batches with counts of their judgements."""
        project = project_for_api(request, slug, Role.ENGINEER, Role.REVIEWER)
        kind = request.query_params.get("kind", "")
        rows = selectors.batches(project=project, kind=kinds.named(kind).name if kind else "")
        page = paginate(request._request, rows)
        return Response({"results": as_json(page.rows), "next": page.older})

    @extend_schema(request=BatchRequest, responses={201: BatchSerializer}, operation_id="tasks_create")
    def post(self, request: Request, slug: str) -> Response:
        """Create a batch: the same choice as on the page, checked by the same form."""
        project = project_for_api(request, slug, Role.ENGINEER)
        asked = BatchRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        kind = kinds.named(said.pop("kind"))
        if strange := sorted(set(said) - set(kind.batch_form.base_fields)):
            raise BadInput(
                _("%(noun)s have no '%(strange)s'.") % {"noun": kind.noun.capitalize(), "strange": strange[0]},
                field=strange[0],
            )
        form = kind.batch_form(as_query(said), project=project)
        if not form.is_valid():
            problems = {name: [str(text) for text in texts] for name, texts in form.errors.items()}
            raise BadInput(_("Some fields are wrong."), field=next(iter(problems)), fields=problems)
        user: Any = request.user
        made = form.create(by=user)
        return Response(as_json([made])[0], status=201)


def as_query(said: dict[str, Any]) -> QueryDict:
    """Values as a form would post them."""
    query = QueryDict(mutable=True)
    for name, value in said.items():
        query.setlist(name, [str(each) for each in value] if isinstance(value, list) else [str(value)])
    return query


class DraftRequest(Strict):
    """What a work screen saves."""

    token = serializers.UUIDField()
    draft = serializers.DictField()
    active_seconds = serializers.IntegerField(min_value=0, default=0)
    base = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="`saved_at` of the draft this one builds on; left out: do not check.",
    )
    revising = serializers.BooleanField(default=False, help_text="The draft of an edit of submitted work.")


class DraftAnswer(serializers.Serializer[Any]):
    """When it was saved and how long the lease runs from here."""

    saved_at = serializers.DateTimeField()
    lease_seconds = serializers.IntegerField()


class Draft(APIView):
    """The draft of the slot in hand."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]

    @extend_schema(request=DraftRequest, responses=DraftAnswer, operation_id="draft_save")
    def put(self, request: Request, slug: str, slot: UUID) -> Response:
        """Save the draft and renew the lease; 409 with code `lease_lost` when the slot is gone (the draft is kept) and
        with code `draft_changed`, the other `draft` and its `saved_at` when it was not saved over `base`."""
        selectors.one_slot(project=project_for_api(request, slug, Role.CONTRACTOR), public_id=slot)
        asked = DraftRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        labeler: Any = request.user
        said = dict(asked.validated_data)
        base = leases.Base(said.pop("base")) if "base" in said else None
        saved = leases.save_draft(slot_id=slot, labeler=labeler, base=base, **said)
        return Response({"saved_at": saved.draft_saved_at, "lease_seconds": lease_seconds(saved)})


def lease_seconds(slot: Slot) -> int:
    """Seconds until the lease runs out."""
    return int((slot.lease_expires_at - db_now()).total_seconds()) if slot.lease_expires_at else 0


class ClaimRequest(Strict):
    """Which kinds of work, in order; none named: all."""

    kinds = serializers.ListField(child=serializers.CharField(), required=False)


class ClaimAnswer(serializers.Serializer[Any]):
    """The slot in hand; `slot` is null when there is no work."""

    slot = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField(allow_null=True)
    lease_seconds = serializers.IntegerField()


class Claim(APIView):
    """The next task."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [IsAuthenticated]

    @extend_schema(request=ClaimRequest, responses=ClaimAnswer, operation_id="claim")
    def post(self, request: Request, slug: str) -> Response:
        """Claim a slot; asking again gives the same one."""
        project = project_for_api(request, slug, Role.CONTRACTOR)
        asked = ClaimRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        labeler: Any = request.user
        slot = claim.claim_slot(project=project, labeler=labeler, kinds=asked.validated_data.get("kinds"))
        if slot is None:
            return Response({"slot": None, "kind": None, "lease_seconds": 0})
        return Response({"slot": slot.public_id, "kind": slot.kind, "lease_seconds": lease_seconds(slot)})


ROOT = "projects/<slug:slug>/"
urlpatterns = [
    path(ROOT + "tasks/", BatchList.as_view(), name="api-batches"),
    path(ROOT + "next/", Claim.as_view(), name="api-claim"),
    path(ROOT + "slots/<uuid:slot>/draft/", Draft.as_view(), name="api-draft"),
]
