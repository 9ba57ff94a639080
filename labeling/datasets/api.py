"""Snapshots over REST."""

from __future__ import annotations

from django.http import FileResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.core.serializers import StrictSerializer
from labeling.datasets import selectors, services, write
from labeling.datasets.models import Snapshot
from labeling.people.permissions import scoped

DATASETS = scoped(read="datasets:read", write="datasets:write")


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


class FreezeSerializer(StrictSerializer):
    """What to freeze. Rules: see the snapshot form."""

    kind = serializers.ChoiceField(choices=Snapshot.Kind.choices)
    name = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    rules = serializers.DictField(required=False, default=dict)


class SnapshotList(APIView):
    """List and freeze."""

    permission_classes = [DATASETS]

    @extend_schema(responses=SnapshotSerializer(many=True), operation_id="snapshots_list")
    def get(self, request: Request, slug: str) -> Response:
        """The newest 100 snapshots."""
        project = request.project  # type: ignore[attr-defined]
        rows = Snapshot.objects.filter(project=project)[:100]
        return Response(SnapshotSerializer(rows, many=True).data)

    @extend_schema(request=FreezeSerializer, responses={201: SnapshotSerializer}, operation_id="snapshots_freeze")
    def post(self, request: Request, slug: str) -> Response:
        """Freeze a new one; its files are written within seconds."""
        project = request.project  # type: ignore[attr-defined]
        asked = FreezeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        frozen = services.freeze(
            project=project, kind=said["kind"], name=said["name"], rules=said["rules"], by=request.user
        )
        return Response(SnapshotSerializer(frozen).data, status=201)


class SnapshotDetail(APIView):
    """One snapshot."""

    permission_classes = [DATASETS]

    @extend_schema(responses=SnapshotSerializer, operation_id="snapshots_read")
    def get(self, request: Request, slug: str, snapshot: str) -> Response:
        """Its state, files and hashes."""
        project = request.project  # type: ignore[attr-defined]
        return Response(SnapshotSerializer(selectors.one(project=project, public_id=snapshot)).data)


class SnapshotFile(APIView):
    """One file of a snapshot."""

    permission_classes = [DATASETS]

    @extend_schema(responses={200: OpenApiResponse(OpenApiTypes.BINARY)}, operation_id="snapshots_download")
    def get(self, request: Request, slug: str, snapshot: str, name: str) -> FileResponse:
        """Download a file that the manifest names."""
        project = request.project  # type: ignore[attr-defined]
        found = selectors.one(project=project, public_id=snapshot)
        return FileResponse(write.file_of(found, name).open("rb"), as_attachment=True, filename=name)


ROOT = "projects/<slug:slug>/snapshots/"
urlpatterns = [
    path(ROOT, SnapshotList.as_view(), name="api-snapshots"),
    path(ROOT + "<uuid:snapshot>/", SnapshotDetail.as_view(), name="api-snapshot"),
    path(ROOT + "<uuid:snapshot>/files/<str:name>", SnapshotFile.as_view(), name="api-snapshot-file"),
]
