"""What one person says of one comparison: read from outside, checked, and in a form that two submissions can be compared by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Required, TypedDict

from django.utils.translation import gettext as _

from labeling.comparisons.models import Comparison, Strength
from labeling.core.errors import BadInput
from labeling.projects.flags import Flag, check_prompt_flags

MAX_REASON = 5000


class Said(TypedDict, total=False):
    """What a labeler says of a comparison.

    `tiers` hold completion ids, best first, each completion of the comparison exactly once; one tier is a tie. `ratings` map
    completion ids to {"quality": 1–7 or None, "flags": [...]}. `better` is an answer of the labeler's own.
    """

    tiers: Required[Sequence[Sequence[int]]]
    ratings: Mapping[int, Mapping[str, Any]] | None
    reason: str
    strength: int | None
    prompt_flags: Sequence[str]
    better: str


@dataclass(frozen=True)
class Judgement:
    """Dense places, quality and flags by completion id; `better` is an answer written beside the ranking, or ""."""

    ranks: dict[int, int]
    ratings: dict[int, tuple[int | None, frozenset[str]]] = field(default_factory=dict)
    reason: str = ""
    strength: int | None = None
    prompt_flags: frozenset[str] = frozenset()
    better: str = ""


def judgement_of(
    comparison: Comparison,
    *,
    tiers: Sequence[Sequence[int]],
    ratings: Mapping[int, Mapping[str, Any]] | None = None,
    reason: str = "",
    strength: int | None = None,
    prompt_flags: Sequence[str] = (),
    better: str = "",
) -> Judgement:
    """Check everything; BadInput naming the first field that is wrong."""
    return Judgement(
        check_tiers(comparison, tiers),
        check_ratings(comparison, ratings or {}),
        check_reason(reason),
        check_strength(strength, tiers),
        check_prompt_flags(prompt_flags),
        better.strip() and better,
    )


def check_tiers(comparison: Comparison, tiers: Sequence[Sequence[int]]) -> dict[int, int]:
    """Dense places by completion; empty tiers are gaps and vanish. BadInput unless each completion is placed exactly once."""
    filled = [list(tier) for tier in tiers if tier]
    placed = [pk for tier in filled for pk in tier]
    asked = set(comparison.items.values_list("completion_id", flat=True))
    if len(placed) != len(set(placed)):
        raise BadInput(_("A completion was placed twice."), field="tiers")
    if strange := set(placed) - asked:
        raise BadInput(
            _("Completion %(strange)s is not part of this comparison.") % {"strange": min(strange)}, field="tiers"
        )
    if missing := asked - set(placed):
        raise BadInput(
            _("%(missing)s of %(asked)s completions have no place yet.")
            % {"missing": len(missing), "asked": len(asked)},
            field="tiers",
        )
    return {pk: rank for rank, tier in enumerate(filled, start=1) for pk in tier}


def check_ratings(
    comparison: Comparison, ratings: Mapping[int, Mapping[str, Any]]
) -> dict[int, tuple[int | None, frozenset[str]]]:
    """Quality and flags by completion; BadInput naming what is out of range or unknown."""
    asked = set(comparison.items.values_list("completion_id", flat=True))
    checked = {}
    for pk, said in ratings.items():
        if pk not in asked:
            raise BadInput(_("Completion %(pk)s is not part of this comparison.") % {"pk": pk}, field="ratings")
        if unknown := set(said) - {"quality", "flags"}:
            raise BadInput(
                _("A rating has quality and flags, not '%(unknown)s'.") % {"unknown": min(unknown)}, field="ratings"
            )
        quality = said.get("quality")
        if quality is not None and (isinstance(quality, bool) or not isinstance(quality, int) or not 1 <= quality <= 7):
            raise BadInput(_("Quality must be a whole number from 1 to 7."), field="quality")
        flags = frozenset(said.get("flags") or ())
        if strange := flags - set(Flag.values):
            raise BadInput(
                _("There is no flag '%(strange)s'. Known: %(values)s.")
                % {"strange": min(strange), "values": ", ".join(Flag.values)},
                field="flags",
            )
        checked[pk] = (quality, flags)
    return checked


def check_reason(reason: str) -> str:
    """The reason without surrounding space; BadInput when it is too long."""
    if len(reason) > MAX_REASON or "\x00" in reason:
        raise BadInput(
            _("The reason may have at most %(most)s characters of plain text.") % {"most": f"{MAX_REASON:,}"},
            field="reason",
        )
    return reason.strip()


def check_strength(strength: int | None, tiers: Sequence[Sequence[int]]) -> int | None:
    """The strength for K = 2; BadInput for other K. A tie has no strength."""
    if strength is None:
        return None
    if strength not in Strength.values:
        raise BadInput(
            _("Strength must be one of %(values)s.") % {"values": ", ".join(map(str, Strength.values))},
            field="strength",
        )
    if sum(map(len, tiers)) != 2:
        raise BadInput(_("Strength is asked only where two completions are compared."), field="strength")
    return None if any(len(tier) == 2 for tier in tiers) else strength
