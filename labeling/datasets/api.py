"""Snapshots over REST."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.core.errors import NotFound
from labeling.core.files import artifact_path
from labeling.datasets import selectors, services
from labeling.datasets.models import Snapshot
from labeling.people.models import Role
from labeling.people.permissions import scoped
from labeling.projects.access import project_for_api


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    """One snapshot; `files` holds path, size and sha256 of each."""

    id = serializers.UUIDField(source="public_id")

    class Meta:
        model = Snapshot
        fields = [
            "id",
            "kind",
            "name",
            "rules",
            "rows",
            "excluded",
            "state",
            "manifest_sha256",
            "files",
            "error",
            "created_at",
        ]


class FreezeSerializer(serializers.Serializer[Any]):
    """What to freeze. Rules: see the snapshot form."""

    kind = serializers.ChoiceField(choices=Snapshot.Kind.choices)
    name = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    rules = serializers.DictField(required=False, default=dict)

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown keys."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({unknown[0]: [f"Unknown field; known: {', '.join(self.fields)}."]})
        return super().to_internal_value(data)


class SnapshotList(APIView):
    """List and freeze."""

    permission_classes = [scoped(read="datasets:read", write="datasets:write")]

    @extend_schema(responses=SnapshotSerializer(many=True), operation_id="snapshots_list")
    def get(self, request: Request, slug: str) -> Response:
        """The newest 100 snapshots."""
        project = project_for_api(request, slug, Role.ENGINEER)
        rows = Snapshot.objects.filter(project=project)[:100]
        return Response(SnapshotSerializer(rows, many=True).data)

    @extend_schema(request=FreezeSerializer, responses={201: SnapshotSerializer}, operation_id="snapshots_freeze")
    def post(self, request: Request, slug: str) -> Response:
        """Freeze a new one; its files are written within seconds."""
        project = project_for_api(request, slug, Role.ENGINEER)
        asked = FreezeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        frozen = services.freeze(
            project=project, kind=said["kind"], name=said["name"], rules=said["rules"], by=request.user
        )
        return Response(SnapshotSerializer(frozen).data, status=201)


class SnapshotDetail(APIView):
    """One snapshot."""

    permission_classes = [scoped(read="datasets:read", write="datasets:write")]

    @extend_schema(responses=SnapshotSerializer, operation_id="snapshots_read")
    def get(self, request: Request, slug: str, snapshot: str) -> Response:
        """Its state, files and hashes."""
        project = project_for_api(request, slug, Role.ENGINEER)
        return Response(SnapshotSerializer(selectors.one(project=project, public_id=snapshot)).data)


class SnapshotFile(APIView):
    """One file of a snapshot."""

    permission_classes = [scoped(read="datasets:read", write="datasets:write")]

    @extend_schema(responses={200: OpenApiResponse(OpenApiTypes.BINARY)}, operation_id="snapshots_download")
    def get(self, request: Request, slug: str, snapshot: str, name: str) -> FileResponse:
        """Download a file that the manifest names."""
        project = project_for_api(request, slug, Role.ENGINEER)
        found = selectors.one(project=project, public_id=snapshot)
        if found.state != Snapshot.State.READY or name not in {entry["path"] for entry in found.files} | {
            "manifest.json"
        }:
            raise NotFound("This snapshot has no such file.")
        return FileResponse(artifact_path(f"{found.path}/{name}").open("rb"), as_attachment=True, filename=name)


ROOT = "projects/<slug:slug>/snapshots/"
urlpatterns = [
    path(ROOT, SnapshotList.as_view(), name="api-snapshots"),
    path(ROOT + "<uuid:snapshot>/", SnapshotDetail.as_view(), name="api-snapshot"),
    path(ROOT + "<uuid:snapshot>/files/<str:name>", SnapshotFile.as_view(), name="api-snapshot-file"),
]
