"""What can go wrong, as one tree. Raise the subclass that names the cause, with a sentence that says what the person can do.

LoopError
├── BadInput          400  a field is wrong: `field` names it
├── NotAllowed        403  this person may not do this
├── NotFound          404  there is no such thing, or none this person may see
├── Conflict          409  the state does not allow it (any more)
│   ├── LeaseLost          the slot went to somebody else
│   ├── DraftChanged       another tab saved a newer draft
│   ├── Frozen             a dataset holds it: it can no longer be changed
│   └── WrongState         the row is not in a state that allows the move
├── Reused            422  the same submission key came with another payload
└── Unavailable       503  a service that is needed does not answer
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework.exceptions import APIException
from rest_framework.response import Response
from rest_framework.views import exception_handler


class LoopError(Exception):
    """Root of the tree: `status` for HTTP, `code` for programs, title and text for people."""

    status = 500
    code = "error"
    title = gettext_lazy("That did not work")

    def __init__(self, detail: str, *, field: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = extra

    def as_json(self) -> dict[str, Any]:
        """The body of an API answer."""
        named = {"field": self.field} if self.field else {}
        return {"detail": self.detail, "code": self.code, **named, **self.extra}


class BadInput(LoopError):
    """A value is wrong; `field` names it."""

    status, code = 400, "bad_input"
    title = gettext_lazy("Something in there is wrong")


class NotAllowed(LoopError):
    """This person may not do this."""

    status, code = 403, "not_allowed"
    title = gettext_lazy("You may not do this")


class NotFound(LoopError):
    """There is no such thing, or none this person may see."""

    status, code = 404, "not_found"
    title = gettext_lazy("There is nothing here")


class Conflict(LoopError):
    """The state does not allow it (any more)."""

    status, code = 409, "conflict"
    title = gettext_lazy("That is not possible now")


class LeaseLost(Conflict):
    """The slot's lease ran out and somebody else has it."""

    code = "lease_lost"
    title = gettext_lazy("This task is no longer yours")


class DraftChanged(Conflict):
    """Another tab saved a draft over the one this tab knew; `extra` holds that draft and when it was saved."""

    code = "draft_changed"


class Frozen(Conflict):
    """A snapshot holds the work: it can no longer be changed or taken back."""

    code = "frozen"
    title = gettext_lazy("This can no longer be changed")


class WrongState(Conflict):
    """The row is not in a state that allows the move."""

    code = "wrong_state"


class Reused(LoopError):
    """The same submission key came with another payload."""

    status, code = 422, "reused_key"


class Unavailable(LoopError):
    """A service that is needed does not answer."""

    status, code = 503, "unavailable"
    title = gettext_lazy("Not available right now")


def api_error(problem: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error is `{"detail", "code"}` and, where one is to blame, `field`."""
    if isinstance(problem, LoopError):
        return Response(problem.as_json(), status=problem.status)
    response = exception_handler(problem, context)
    if response is None:
        return None
    if isinstance(problem, Http404):
        response.data = {"detail": _("There is no such thing here."), "code": "not_found"}
    elif isinstance(problem, PermissionDenied):
        response.data = {"detail": _("You may not do this."), "code": "not_allowed"}
    elif isinstance(problem, APIException):
        if isinstance(response.data, dict) and "detail" in response.data:
            response.data = {"detail": str(response.data["detail"]), "code": problem.default_code}
        else:
            response.data = {"detail": _("Some fields are wrong."), "code": "bad_input", "fields": response.data}
    return response
