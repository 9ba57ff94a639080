"""Checkpoints over REST."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.urls import path
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.checkpoints import services
from labeling.checkpoints.models import Checkpoint
from labeling.core.errors import NotFound
from labeling.core.filters import chosen
from labeling.people.models import User
from labeling.people.permissions import Scope, must_carry, scoped
from labeling.projects.models import Project

RUNS = scoped(read="runs:read", write="runs:write")


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """One checkpoint; `parent` and `reward` are ids of the checkpoints it came from."""

    id = serializers.UUIDField(source="public_id")
    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    parent = serializers.SlugRelatedField[Checkpoint](slug_field="public_id", read_only=True)  # type: ignore[assignment]
    reward = serializers.SlugRelatedField[Checkpoint](slug_field="public_id", read_only=True)
    run = serializers.SerializerMethodField()

    class Meta:
        model = Checkpoint
        fields = [
            "id",
            "project",
            "kind",
            "name",
            "state",
            "parent",
            "reward",
            "run",
            "manifest_sha256",
            "bytes",
            "metrics",
            "created_at",
        ]
        read_only_fields = fields

    def get_run(self, row: Checkpoint) -> str | None:
        """The run that made it."""
        run = getattr(row, "run", None)
        return str(run.pk) if run else None


def find(request: Request, public_id: UUID, scope: str) -> Checkpoint:
    """The checkpoint, for members of its project whose role carries the scope; for strangers it does not exist."""
    rows = Checkpoint.objects.select_related("project", "parent", "reward")
    found = rows.filter(public_id=public_id).first()
    place = cast(User, request.user).memberships.filter(project=found.project).first() if found else None
    if found is None or place is None:
        raise NotFound(_("There is no such checkpoint."))
    must_carry(place, scope)
    return found


class CheckpointList(APIView):
    """The registry of a project."""

    permission_classes = [RUNS]

    @extend_schema(
        operation_id="checkpoints_list",
        parameters=[OpenApiParameter("kind"), OpenApiParameter("state")],
        responses=CheckpointSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The newest 100 checkpoints, by kind and state."""
        rows = Checkpoint.objects.filter(project=request.project)  # type: ignore[attr-defined]
        rows = chosen(rows, request.query_params, kind=Checkpoint.Kind.values, state=Checkpoint.State.values)
        rows = rows.select_related("project", "parent", "reward", "run")[:100]
        return Response(CheckpointSerializer(rows, many=True).data)


class CheckpointDetail(APIView):
    """One checkpoint."""

    permission_classes = [RUNS]

    @extend_schema(operation_id="checkpoints_read", responses=CheckpointSerializer)
    def get(self, request: Request, checkpoint: UUID) -> Response:
        """Its state, hash, numbers and parents."""
        return Response(CheckpointSerializer(find(request, checkpoint, Scope.RUNS_READ)).data)


class CheckpointPromote(APIView):
    """Promotion."""

    permission_classes = [RUNS]

    @extend_schema(operation_id="checkpoints_promote", request=None, responses=CheckpointSerializer)
    def post(self, request: Request, checkpoint: UUID) -> Response:
        """Make it the promoted one of its kind; the one before becomes a candidate."""
        found = find(request, checkpoint, Scope.RUNS_WRITE)
        services.promote(checkpoint=found, by=request.user)  # type: ignore[arg-type]
        return Response(CheckpointSerializer(find(request, checkpoint, Scope.RUNS_READ)).data)


urlpatterns = [
    path("projects/<slug:slug>/checkpoints/", CheckpointList.as_view(), name="api-checkpoints"),
    path("checkpoints/<uuid:checkpoint>/", CheckpointDetail.as_view(), name="api-checkpoint"),
    path("checkpoints/<uuid:checkpoint>/promote/", CheckpointPromote.as_view(), name="api-checkpoint-promote"),
]
