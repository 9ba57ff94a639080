"""The kinds of work. Apps register theirs when they load, so that assignments knows none of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from labeling.assignments.models import Slot
from labeling.core.errors import BadInput

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    from labeling.assignments.forms import BatchForm
    from labeling.projects.access import ProjectRequest


@dataclass(frozen=True)
class Kind:
    """How one kind of work is shown, taken in, taken back and created.

    `counted` gives the noun with its number: "1 comparison", "12 comparisons". `show` renders a slot with its draft;
    `receive` takes the posted form and returns a page with errors, or None once it is submitted. `said` gives what a slot's
    holder submitted as a draft, newest revision; `recall` does too and deletes it; `is_frozen` says whether a dataset holds
    it. `carry` rewrites a draft for another slot of its task. `batch_form` creates tasks, on its page and in the API.
    """

    name: str
    action: StrPromise
    noun: StrPromise
    counted: Callable[[int], str]
    icon: str
    show: Callable[[ProjectRequest, Slot], HttpResponse]
    receive: Callable[[ProjectRequest, Slot], HttpResponse | None]
    said: Callable[[Slot], dict[str, Any]]
    recall: Callable[[Slot], dict[str, Any]]
    is_frozen: Callable[[Slot], bool]
    batch_form: type[BatchForm]
    carry: Callable[[dict[str, Any], Slot | None, Slot], dict[str, Any]] = lambda draft, _from, _to: draft


_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Make a kind known; called once by its app's `ready`."""
    _KINDS[kind.name] = kind


def names() -> list[str]:
    """All kinds, in the order in which their apps load."""
    return list(_KINDS)


def every() -> list[Kind]:
    """All kinds, in the order in which their apps load."""
    return list(_KINDS.values())


def named(name: str) -> Kind:
    """The kind of this name; BadInput naming the known ones otherwise."""
    if name not in _KINDS:
        raise BadInput(
            _("There is no kind of work called '%(name)s'. Known: %(known)s.")
            % {"name": name, "known": ", ".join(_KINDS)},
            field="kind",
        )
    return _KINDS[name]
