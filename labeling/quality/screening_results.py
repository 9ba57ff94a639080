"""How somebody did in the screening, and who is being screened. Nothing here writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from labeling.assignments.models import Skip, Slot, Task
from labeling.assignments.qualifying import Steps
from labeling.comparisons.models import RankedItem, Ranking, Rating
from labeling.core.errors import NotFound
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role, User
from labeling.projects.flags import HARM
from labeling.projects.models import Membership, Project
from labeling.projects.standing import Score, Shares
from labeling.prompts.models import Prompt
from labeling.quality.control_items import accuracy, asks_harm
from labeling.quality.screening_models import Qualification, ScreeningItem, ScreeningPiece, ScreeningRule


@dataclass(frozen=True)
class Result(Shares):
    """What was asked and done.

    `agreement` is the share of known pairs put in order, over `pairs`; a tie counts half. `flagging` is the share of
    completions, of `flaggable` whose harm is known, of which the person said rightly whether they are harmful. `spared` items
    were not asked: they come with a content warning, and the person takes no such work.
    """

    rule: ScreeningRule
    asked: int
    done: int
    skipped: int
    agreement: float | None
    pairs: int
    flagging: float | None
    flaggable: int
    grades: tuple[int, ...]
    ungraded: int
    answered: bool
    spared: int = 0

    @property
    def mean_grade(self) -> float | None:
        """Of the graded demonstrations."""
        return sum(self.grades) / len(self.grades) if self.grades else None

    @property
    def is_handed_in(self) -> bool:
        """Whether nothing is left for the person to do."""
        return self.done + self.skipped >= self.asked and (self.answered or not self.rule.question)

    @property
    def meets(self) -> bool | None:
        """Whether the rule is met; None while something is missing, also a grade, or was skipped: then a person decides."""
        if not self.is_handed_in or self.ungraded or self.skipped or not self.done:
            return None
        needed = (
            (self.percent, self.rule.min_agreement),
            (self.flagging_percent, self.rule.min_flags),
            (self.mean_grade, self.rule.min_grade),
        )
        return all(reached is None or reached >= least for reached, least in needed)


def rule_of(project: Project) -> ScreeningRule:
    """The project's rule; before anybody saved one, the defaults without a question."""
    return ScreeningRule.objects.filter(project=project).first() or ScreeningRule(project=project)


def items(project: Project) -> QuerySet[ScreeningItem]:
    """What people are asked now, in the order of asking."""
    rows = ScreeningItem.objects.filter(project=project, is_asked=True).exclude(task__state=Task.State.WITHDRAWN)
    rows = rows.exclude(task__prompt__state=Prompt.State.QUARANTINED)
    return rows.select_related("task__prompt", "control__comparison")


def is_for(item: ScreeningItem, place: Membership) -> bool:
    """Whether this person is asked the item: work with a content warning comes only to people who take it, here too."""
    return place.takes_sensitive or item.task.prompt.category not in place.project.warned_categories


def is_done(piece: ScreeningPiece, labeler: User) -> bool:
    """Whether this person submitted the piece; a slot whose lease ran out may be somebody else's by now."""
    return piece.slot.labeler_id == labeler.pk and piece.slot.state == Slot.State.SUBMITTED


def result_of(place: Membership) -> Result:
    """The figures of one person, over the items that are asked now."""
    return results_of(place.project, [place])[place.pk]


def results_of(project: Project, places: Sequence[Membership]) -> dict[int, Result]:
    """The figures of people of one project by membership, in as many queries for many as for one."""
    rule, asked = rule_of(project), list(items(project))
    people, tasks = [place.user_id for place in places], [item.task_id for item in asked]
    qualified = {row.membership_id: row for row in Qualification.objects.filter(membership__in=places)}
    skipped = set(Skip.objects.filter(task__in=tasks, labeler__in=people).values_list("labeler", "task"))
    rows = ScreeningPiece.objects.filter(qualification__membership__in=places, item__in=asked)
    pieces = list(rows.select_related("slot", "item__control", "qualification"))
    said = said_in(pieces)
    found = {}
    for place in places:
        mine = [row for row in pieces if row.qualification.membership_id == place.pk and is_done(row, place.user)]
        right, pairs = agreement_of(mine, said)
        seen, flaggable = flagging_of(mine, said, project)
        seen_tasks = {row.item.task_id for row in mine} | {task for user, task in skipped if user == place.user_id}
        spared = sum(not is_for(item, place) and item.task_id not in seen_tasks for item in asked)
        demonstrations = [piece for piece in mine if piece.item.control is None]
        qualification = qualified.get(place.pk)
        found[place.pk] = Result(
            rule=rule,
            asked=len(asked) - spared,
            done=len(mine),
            skipped=sum(user == place.user_id for user, _task in skipped),
            agreement=right / pairs if pairs else None,
            pairs=pairs,
            flagging=seen / flaggable if flaggable else None,
            flaggable=flaggable,
            grades=tuple(piece.grade for piece in demonstrations if piece.grade is not None),
            ungraded=sum(piece.grade is None for piece in demonstrations),
            answered=bool(qualification and qualification.answered_at),
            spared=spared,
        )
    return found


@dataclass(frozen=True)
class Said:
    """What the holders of slots said last: places by completion, and the completions they flagged as harmful, by slot."""

    ranks: dict[int, dict[int, int]]
    harmful: dict[int, set[int]]


def said_in(pieces: Iterable[ScreeningPiece]) -> Said:
    """What was said in these pieces; what a reviewer put in its place does not count."""
    own = Ranking.objects.filter(labeler=F("slot__labeler"), superseded_by=None, late=False)
    slots = dict(own.filter(slot__in=[piece.slot_id for piece in pieces]).values_list("pk", "slot"))
    said = Said(defaultdict(dict), defaultdict(set))
    placed = RankedItem.objects.filter(ranking__in=slots)
    for ranking, completion, rank in placed.values_list("ranking", "completion", "rank"):
        said.ranks[slots[ranking]][completion] = rank
    flagged = Rating.objects.filter(ranking__in=slots, flags__overlap=sorted(HARM))
    for ranking, completion in flagged.values_list("ranking", "completion"):
        said.harmful[slots[ranking]].add(completion)
    return said


def agreement_of(pieces: Iterable[ScreeningPiece], said: Said) -> tuple[float, int]:
    """(pairs in order, ties counting half; known pairs) over the controls among these pieces."""
    right, total = 0.0, 0
    for piece in pieces:
        control = piece.item.control
        if control is None:
            continue
        ranks = said.ranks[piece.slot_id]
        known = {pk: rank for pk, rank in control.known.items() if pk in ranks}
        pairs = sum(known[a] < known[b] for a in known for b in known)
        if pairs:
            right, total = right + accuracy(known, ranks) * pairs, total + pairs
    return right, total


def flagging_of(pieces: Iterable[ScreeningPiece], said: Said, project: Project) -> tuple[int, int]:
    """(completions of which people said rightly whether they are harmful; those of which it is known).

    None are counted while the project asks no flag of harm.
    """
    right = total = 0
    for piece in pieces if asks_harm(project) else ():
        control = piece.item.control
        if control is None or control.harmful is None:
            continue
        flagged = said.harmful[piece.slot_id]
        right += sum((pk in flagged) == (pk in control.harmful) for pk in control.known)
        total += len(control.known)
    return right, total


def steps(project: Project, labeler: User) -> Steps:
    """What is left for this person."""
    place = Membership.objects.select_related("user", "project").get(project=project, user=labeler)
    result = result_of(place)
    seen = result.done + result.skipped
    asks = bool(result.rule.question) and not result.answered
    return Steps(seen + result.answered, result.asked + bool(result.rule.question), seen < result.asked, asks)


def people(project: Project) -> QuerySet[Membership]:
    """Everybody who is being screened; the longest waiting have the smallest keys."""
    places = Membership.objects.filter(project=project, state=Membership.State.QUALIFYING, role=Role.CONTRACTOR)
    return places.select_related("user", "project").order_by("pk")


def with_results(project: Project, places: Sequence[Membership]) -> list[tuple[Membership, Result]]:
    """These people with their figures."""
    found = results_of(project, places)
    return [(place, found[place.pk]) for place in places]


def decided(project: Project) -> QuerySet[Qualification]:
    """The latest decisions."""
    rows = Qualification.objects.filter(membership__project=project, passed__isnull=False)
    return rows.select_related("membership__user", "decided_by").order_by("-decided_at")


def scores_of(places: Sequence[Membership]) -> dict[int, Score]:
    """What was decided on, by membership; nobody before the decision, or without a figure."""
    rows = Qualification.objects.filter(membership__in=places, passed__isnull=False)
    found = rows.values_list("membership", "agreement", "flagging", "grade")
    return {place: Score(*figures) for place, *figures in found if any(one is not None for one in figures)}


def one_person(project: Project, membership_id: int) -> Membership:
    """A contractor of this project; NotFound otherwise."""
    rows = Membership.objects.select_related("user", "project").filter(project=project, role=Role.CONTRACTOR)
    place = rows.filter(pk=membership_id).first()
    if place is None:
        raise NotFound(_("There is no such contractor in this project."))
    return place


def written(piece: ScreeningPiece) -> Demonstration | None:
    """The newest text of a demonstration piece."""
    return Demonstration.objects.filter(slot=piece.slot, superseded_by=None, late=False).first()
