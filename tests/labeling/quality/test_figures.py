"""From rows to stored figures: what is read, when it is computed again, who reads what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from labeling.checkpoints.models import Checkpoint
from labeling.core.errors import BadInput
from labeling.people.models import Role
from labeling.quality import disputes, selectors, services
from labeling.quality.models import ControlItem, Dispute, RewardScore, Summary, WeeklyAgreement
from labeling.quality.reading import prompts_judged
from tests.factories import CheckpointFactory, GuidelineFactory, MembershipFactory, ProjectFactory
from tests.labeling.quality.judging import answers, comparison_of, rank


@pytest.fixture
def project(db):
    """A project without work."""
    return ProjectFactory()


@pytest.fixture
def people(project):
    """Three contractors."""
    return [MembershipFactory(project=project).user for _ in range(3)]


def read(project):
    """Everything judged, as one list."""
    return [judged for prompt in prompts_judged(project) for judged in prompt]


def test_everything_around_a_ranking_is_read(project, people):
    comparison = comparison_of(project, round_number=4)
    a, b, c = answers(comparison)
    reward = CheckpointFactory(project=project, kind=Checkpoint.Kind.REWARD)
    services.store_scores(checkpoint=reward, scores={a.pk: 0.5, b.pk: 2.0})
    ControlItem.objects.create(comparison=comparison, ranks={str(a.pk): 2, str(b.pk): 1, str(c.pk): 3})
    guideline = GuidelineFactory(project=project, version=3)
    rank(
        comparison,
        people[0],
        1,
        2,
        2,
        shown=(3, 1, 2),
        qualities=(7, 5, 5),
        guideline=guideline,
        prompt_flags=["sensitive"],
    )
    (judged,) = read(project)
    assert (judged.round_number, judged.prompt) == (4, comparison.task.prompt_id)
    assert judged.lengths == {row.pk: len(row.text) for row in (a, b, c)}
    assert (judged.known, judged.score_ranks) == ({a.pk: 2, b.pk: 1, c.pk: 3}, {a.pk: 2, b.pk: 1})
    (one,) = judged.judgements
    assert (one.labeler, one.is_researcher, one.version, one.active_seconds) == (people[0].pk, False, 3, 30)
    assert one.ranks == {a.pk: 1, b.pk: 2, c.pk: 2}
    assert one.places == {a.pk: 3, b.pk: 1, c.pk: 2}
    assert one.ratings == {a.pk: 7, b.pk: 5, c.pk: 5}
    assert one.flagged
    assert one.week.weekday() == 0


def test_late_work_and_own_older_revisions_do_not_count_but_what_a_reviewer_replaced_does(project, people):
    comparison = comparison_of(project)
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    first = rank(comparison, people[0], 3, 2, 1)
    second = rank(comparison, people[0], 1, 2, 3, supersedes=first, slot=first.slot)
    rank(comparison, reviewer, 1, 3, 2, supersedes=second, slot=first.slot)
    rank(comparison, people[1], 1, 2, 3, late=True)
    (judged,) = read(project)
    order = [row.pk for row in answers(comparison)]
    said = {one.labeler: ([one.ranks[pk] for pk in order], one.is_researcher) for one in judged.judgements}
    assert said == {people[0].pk: ([1, 2, 3], False), reviewer.pk: ([1, 3, 2], True)}


def test_the_newest_reward_model_that_scored_a_comparison_is_the_one_compared(project, people):
    comparison = comparison_of(project, 2)
    rank(comparison, people[0], 1, 2)
    a, b = (row.pk for row in answers(comparison))
    older, newer = (CheckpointFactory(project=project, kind=Checkpoint.Kind.REWARD) for _ in range(2))
    services.store_scores(checkpoint=newer, scores={a: 0.1, b: 0.9})
    services.store_scores(checkpoint=older, scores={a: 5.0, b: 0.0})
    (judged,) = read(project)
    assert list(judged.score_ranks.values()) == [2, 1]


def test_scores_of_rankings_go_to_their_completions_and_replace_older_ones(project, people):
    comparison = comparison_of(project)
    a, b, c = answers(comparison)
    ranking, again = rank(comparison, people[0], 3, 2, 1), rank(comparison, people[1], 1, 2, 3)
    stranger = rank(comparison_of(ProjectFactory()), people[0], 1, 2, 3)
    rows = [
        {"id": str(ranking.public_id), "scores": [0.5, 1.5, -2]},
        {"id": str(again.public_id), "scores": [0.5, 1.5, -2]},
        {"id": str(stranger.public_id), "scores": [9, 9, 9]},
        {"id": "seed-1", "scores": [9, 9]},
    ]
    scores = services.scores_by_completion(project, rows)
    assert scores == {a.pk: 0.5, b.pk: 1.5, c.pk: -2.0}
    reward = CheckpointFactory(project=project, kind=Checkpoint.Kind.REWARD)
    assert services.store_scores(checkpoint=reward, scores=scores) == 3
    services.store_scores(checkpoint=reward, scores={a.pk: 2.0})
    assert dict(RewardScore.objects.values_list("completion", "score")) == {a.pk: 2.0, b.pk: 1.5, c.pk: -2.0}
    with pytest.raises(BadInput) as refused:
        services.scores_by_completion(project, [{"id": str(ranking.public_id), "scores": [1.0]}])
    assert refused.value.field == "scores"


def test_figures_are_computed_once_and_again_when_something_changed(project, people):
    comparison = comparison_of(project)
    rank(comparison, people[0], 1, 2, 3)
    rank(comparison, people[1], 1, 3, 2)
    assert services.refresh(project=project)
    assert not services.refresh(project=project)
    stored = Summary.objects.get(project=project)
    assert stored.figures["all"]["agreement"]["labelers"]["value"] == pytest.approx(2 / 3)
    assert selectors.report(project).computed_at == stored.computed_at
    third = rank(comparison, people[2], 1, 2, 3)
    assert services.refresh(project=project)
    assert Summary.objects.get(project=project).figures["all"]["rankings"] == 3
    third.items.all().delete()
    third.delete()  # taken back
    assert services.refresh(project=project)
    ControlItem.objects.create(comparison=comparison, ranks={str(row.pk): 1 for row in answers(comparison)})
    assert selectors.basis(project) != Summary.objects.get(project=project).basis


def test_what_takes_long_is_computed_less_often(project, people):
    rank(comparison_of(project), people[0], 1, 2, 3)
    assert services.sweep() == 1
    rank(comparison_of(project), people[0], 1, 2, 3)
    Summary.objects.update(seconds=60.0, computed_at=timezone.now() - timedelta(seconds=599))
    assert services.sweep() == 0
    Summary.objects.update(computed_at=timezone.now() - timedelta(seconds=601))
    assert services.sweep() == 1


def test_a_big_project_shows_old_figures_and_says_how_many_rankings_are_missing(project, people, monkeypatch):
    comparison = comparison_of(project)
    monkeypatch.setattr(selectors, "AT_ONCE", 0)
    rank(comparison, people[0], 1, 2, 3)
    assert selectors.report(project) == selectors.Report(None, rankings=1)
    services.refresh(project=project)
    rank(comparison, people[1], 1, 2, 3)
    found = selectors.report(project)
    assert (found.figures["all"]["rankings"], found.rankings, found.newer) == (1, 2, 1)
    monkeypatch.setattr(selectors, "AT_ONCE", 2)
    fresh = selectors.report(project)
    assert (fresh.figures["all"]["rankings"], fresh.computed_at) == (2, None)


def test_own_agreement_by_week(project, people, monkeypatch):
    for day, ranks in ((date(2026, 1, 7), (1, 2, 3)), (date(2026, 1, 14), (3, 2, 1))):
        moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        monkeypatch.setattr(timezone, "now", lambda moment=moment: moment)
        comparison = comparison_of(project)
        rank(comparison, people[0], 1, 2, 3)
        rank(comparison, people[1], *ranks)
    monkeypatch.undo()
    services.refresh(project=project)
    own = selectors.own_agreement(user=people[0], project=project)
    assert [(row.week, row.agreement, row.pairs) for row in own] == [
        (date(2026, 1, 5), 1.0, 3),
        (date(2026, 1, 12), 0.0, 3),
    ]
    assert selectors.own_agreement(user=people[2], project=project) == []
    assert WeeklyAgreement.objects.count() == 4


def test_disputes_follow_the_rankings_and_can_be_narrowed(project, people):
    mild, hot, calm = (
        comparison_of(project),
        comparison_of(project, round_number=2, purpose="evaluation"),
        comparison_of(project),
    )
    old, new = GuidelineFactory(project=project, version=1), GuidelineFactory(project=project, version=2)
    for comparison, ranks in ((mild, (1, 3, 2)), (hot, (3, 2, 1)), (calm, (1, 2, 3))):
        rank(comparison, people[0], 1, 2, 3, guideline=old)
        rank(comparison, people[1], *ranks, guideline=new if comparison is hot else old)
    rank(mild, people[2], 1, 2, 3, guideline=old)
    services.refresh(project=project)

    def found(**narrow):
        return list(
            selectors.disputes(project=project, **narrow).order_by("-disagreement").values_list("comparison", flat=True)
        )

    assert found() == [hot.pk, mild.pk]
    assert found(round_number=2) == found(purpose="evaluation") == found(version=2) == [hot.pk]
    assert found(labeler=people[2].pk) == found(at_least=3) == [mild.pk]
    assert Dispute.objects.get(comparison=mild).disagreement == pytest.approx(2 / 9)
    kept = Dispute.objects.get(comparison=mild).pk
    rank(hot, people[2], 3, 2, 1)
    services.refresh(project=project)
    assert Dispute.objects.get(comparison=hot).labelers == 3
    assert Dispute.objects.get(comparison=mild).pk == kept


def test_the_most_opposed_answers_are_the_ones_shown(project, people):
    comparison = comparison_of(project, 4)
    # A–B: 1 to 2; A–C: 3 to 0; C–D: 2 tied, 1 for D; B–D: 2 to 1 …
    rank(comparison, people[0], 1, 2, 3, 3)
    rank(comparison, people[1], 2, 1, 3, 3)
    rank(comparison, people[2], 3, 2, 4, 1)
    services.refresh(project=project)
    (row,) = disputes.opened(project, selectors.disputes(project=project))
    assert [(side.letter, side.votes) for side in row.sides] == [("A", 1), ("B", 2)]
    assert row.ties == 0
    assert [name for name, _ in row.places] == [str(user) for user in people]
    assert row.places[2][1] == [3, 2, 4, 1]
    assert [row.letters, row.dispute.labelers] == [["A", "B", "C", "D"], 3]
