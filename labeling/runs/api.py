"""Runs over REST."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.urls import path
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling.checkpoints.models import Checkpoint
from labeling.core.errors import BadInput, NotFound
from labeling.datasets.models import Snapshot
from labeling.people.models import User
from labeling.people.permissions import Scope, must_carry, scoped
from labeling.projects.models import Project
from labeling.runs import directory, selectors, services
from labeling.runs.models import Run

MOST_LOG_LINES = 500
RUNS = scoped(read="runs:read", write="runs:write")


class RunSerializer(serializers.ModelSerializer[Run]):
    """One run. `output` is the checkpoint it published; `latest` the newest value of every metric."""

    project = serializers.SlugRelatedField[Project](slug_field="slug", read_only=True)
    output = serializers.SlugRelatedField[Checkpoint](slug_field="public_id", read_only=True)

    class Meta:
        model = Run
        fields = [
            "id",
            "project",
            "kind",
            "name",
            "state",
            "waiting_for",
            "config",
            "seed",
            "round_number",
            "attempt",
            "max_attempts",
            "device",
            "step",
            "progress",
            "eta_seconds",
            "latest",
            "result",
            "error",
            "exit_code",
            "output",
            "manifest_sha256",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class NewRunSerializer(serializers.Serializer[Any]):
    """What to run. `config` holds settings that differ from the defaults; `inputs` maps a role to checkpoint ids."""

    kind = serializers.ChoiceField(choices=Run.Kind.choices)
    name = serializers.CharField(max_length=80)
    config = serializers.DictField(required=False, default=dict)
    seed = serializers.IntegerField(required=False, default=0, min_value=0, max_value=services.LARGEST_SEED)
    snapshots = serializers.ListField(child=serializers.UUIDField(), required=False, default=list, max_length=20)
    inputs = serializers.DictField(
        child=serializers.ListField(child=serializers.UUIDField(), max_length=20), required=False, default=dict
    )

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown keys."""
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            raise serializers.ValidationError({unknown[0]: [f"Unknown field; known: {', '.join(self.fields)}."]})
        return super().to_internal_value(data)


def person(request: Request) -> User:
    """Who asks; the permission class has let nobody else through."""
    return cast(User, request.user)


def find(request: Request, run_id: UUID, scope: str) -> Run:
    """The run, for members of its project whose role carries the scope; for strangers it does not exist."""
    run = Run.objects.select_related("project", "output").filter(pk=run_id).first()
    place = person(request).memberships.filter(project=run.project).first() if run else None
    if run is None or place is None:
        raise NotFound(_("There is no such run."))
    must_carry(place, scope)
    return run


def by_public_id(model: Any, project: Project, ids: list[UUID], field: str) -> list[Any]:
    """The project's rows with these ids, in this order; BadInput naming the first that is not there."""
    found = {row.public_id: row for row in model.objects.filter(project=project, public_id__in=ids)}
    for wanted in ids:
        if wanted not in found:
            raise BadInput(
                _("The project has no %(verbose_name)s %(wanted)s.")
                % {"verbose_name": model._meta.verbose_name, "wanted": wanted},
                field=field,
            )
    return [found[wanted] for wanted in ids]


class RunList(APIView):
    """List and start."""

    permission_classes = [RUNS]

    @extend_schema(
        operation_id="runs_list",
        parameters=[OpenApiParameter("kind"), OpenApiParameter("state")],
        responses=RunSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """The newest 100 runs, by kind and state."""
        asked = {name: request.query_params.get(name, "") for name in ("kind", "state")}
        rows = selectors.filtered(project=request.project, **asked).select_related("project")  # type: ignore[attr-defined]
        return Response(RunSerializer(rows[:100], many=True).data)

    @extend_schema(operation_id="runs_start", request=NewRunSerializer, responses={201: RunSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Queue a run; it starts when a device is free."""
        asked = NewRunSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said, project = asked.validated_data, request.project  # type: ignore[attr-defined]
        run = services.queue_run(
            project=project,
            kind=said["kind"],
            name=said["name"],
            config=said["config"],
            by=person(request),
            snapshots=by_public_id(Snapshot, project, said["snapshots"], "snapshots"),
            inputs={
                role: by_public_id(Checkpoint, project, ids, f"inputs.{role}") for role, ids in said["inputs"].items()
            },
            seed=said["seed"],
        )
        return Response(RunSerializer(run).data, status=201)


class RunDetail(APIView):
    """One run."""

    permission_classes = [RUNS]

    @extend_schema(operation_id="runs_read", responses=RunSerializer)
    def get(self, request: Request, run: UUID) -> Response:
        """Its state, progress, newest numbers and result."""
        return Response(RunSerializer(find(request, run, Scope.RUNS_READ)).data)


class RunCancel(APIView):
    """Stopping."""

    permission_classes = [RUNS]

    @extend_schema(operation_id="runs_cancel", request=None, responses=RunSerializer)
    def post(self, request: Request, run: UUID) -> Response:
        """Ask it to stop; asking again changes nothing. 409 when it is over."""
        stopped = services.request_cancel(run=find(request, run, Scope.RUNS_WRITE), by=person(request))
        return Response(RunSerializer(stopped).data)


class RunMetrics(APIView):
    """Numbers since the last that the caller has."""

    permission_classes = [RUNS]

    @extend_schema(
        operation_id="runs_metrics",
        parameters=[
            OpenApiParameter("after", int, description="The `last` of the answer before; -1 for everything."),
            OpenApiParameter("attempt", int, description="The `attempt` of the answer before."),
            OpenApiParameter("state", str, description="The `state` of the answer before: with it, no news is 204."),
            OpenApiParameter("since_step", int, description="Only steps from here on."),
            OpenApiParameter("until_step", int, description="Only steps up to here."),
        ],
        responses={
            200: OpenApiResponse(description="Columns by metric."),
            204: OpenApiResponse(description="No news."),
        },
    )
    def get(self, request: Request, run: UUID) -> Response:
        """Columns `{metric: {"step", "time", "value"}}` of the rows after `after`; 204 when nothing is new."""
        found = find(request, run, Scope.RUNS_READ)
        after = whole(request, "after", -1)
        assert after is not None
        body = selectors.answer(
            found,
            after=after,
            attempt=whole(request, "attempt", None),
            since=whole(request, "since_step", None),
            until=whole(request, "until_step", None),
        )
        known_state = request.query_params.get("state", found.state)
        if not body["series"] and not body["reset"] and after >= 0 and known_state == found.state:
            return Response(status=204)
        return Response(body)


class RunLog(APIView):
    """The end of log.txt."""

    permission_classes = [RUNS]

    @extend_schema(operation_id="runs_log", parameters=[OpenApiParameter("lines", int)], responses={200: dict})
    def get(self, request: Request, run: UUID) -> Response:
        """Up to 500 lines."""
        found = find(request, run, Scope.RUNS_READ)
        lines = whole(request, "lines", 100) or 0
        if not 1 <= lines <= MOST_LOG_LINES:
            raise BadInput(
                _("lines must be from 1 to %(MOST_LOG_LINES)s.") % {"MOST_LOG_LINES": MOST_LOG_LINES}, field="lines"
            )
        return Response({"log": directory.log_tail(directory.path_of(found), lines=lines)})


def whole(request: Request, name: str, default: int | None) -> int | None:
    """A whole number of the query string; BadInput when it is not one."""
    raw = request.query_params.get(name)
    if raw is None or raw == "":
        return default
    if not raw.removeprefix("-").isascii() or not raw.removeprefix("-").isdigit() or len(raw) > 18:
        raise BadInput(
            _("%(name)s must be a whole number, not %(raw)s.") % {"name": name, "raw": f"{raw!r}"}, field=name
        )
    return int(raw)


urlpatterns = [
    path("projects/<slug:slug>/runs/", RunList.as_view(), name="api-runs"),
    path("runs/<uuid:run>/", RunDetail.as_view(), name="api-run"),
    path("runs/<uuid:run>/cancel/", RunCancel.as_view(), name="api-run-cancel"),
    path("runs/<uuid:run>/metrics/", RunMetrics.as_view(), name="api-run-metrics"),
    path("runs/<uuid:run>/log/", RunLog.as_view(), name="api-run-log"),
]
