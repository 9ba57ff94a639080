"""Hidden controls: a known order, asked at a rate, out of the data, and nothing that gives them away."""

from __future__ import annotations

import pytest
from django.urls import reverse

from labeling.assignments import claim
from labeling.assignments.models import HIDDEN_PRIORITY, Slot
from labeling.assignments.selectors import has_work
from labeling.core.errors import BadInput, Conflict
from labeling.datasets.rules import candidates, check_rules
from labeling.projects.models import Project
from labeling.quality import control_items
from labeling.quality.models import ControlItem
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, contractor_of
from tests.labeling.conftest import signed_in
from tests.labeling.quality.submitted import comparisons, rank_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory(control_percent=100)


def ids_of(comparison) -> list[int]:
    return sorted(comparison.completions.values_list("pk", flat=True))


def control_of(comparison, judgements: int = 2) -> ControlItem:
    a, b, c = ids_of(comparison)
    return control_items.make_control(
        comparison=comparison, tiers=[[a], [b, c]], judgements=judgements, by=UserFactory()
    )


def test_a_control_keeps_its_order_and_asks_more_people_each_with_an_order_of_their_own(project):
    (comparison,) = comparisons(project, 1)
    a, b, c = ids_of(comparison)
    control = control_of(comparison)
    assert control.known == {a: 1, b: 2, c: 2}
    hidden = Slot.objects.filter(task=comparison.task, priority=HIDDEN_PRIORITY)
    assert [slot.ordinal for slot in hidden.order_by("ordinal")] == [2, 3]
    assert all(slot.display_order.count() == 3 for slot in hidden)
    comparison.task.refresh_from_db()
    assert comparison.task.overlap == 3


def test_a_control_is_found_behind_many_that_this_person_has_ranked(project, monkeypatch):
    monkeypatch.setattr(claim, "WINDOW", 2)
    often, rare, *_ = comparisons(project, 4)
    control_of(often, judgements=3)
    labeler = contractor_of(project)
    assert rank_next(project, labeler).comparison_id == often.pk
    control_of(rare, judgements=1)
    hidden = Slot.objects.filter(priority=HIDDEN_PRIORITY, state="open")
    hidden.filter(task=often.task).update(rnd=10)
    hidden.filter(task=rare.task).update(rnd=20)
    monkeypatch.setattr(claim.random, "randrange", lambda end: 0)
    assert rank_next(project, labeler).comparison_id == rare.pk  # the first window holds the two left of the other


def test_controls_come_at_the_rate_but_never_when_there_is_no_other_work(project):
    first, *_ = comparisons(project, 3)
    control_of(first, judgements=5)
    labeler = contractor_of(project)
    assert rank_next(project, labeler).comparison_id == first.pk  # every claim is a control at 100 percent
    assert rank_next(project, labeler).comparison_id != first.pk  # nobody is asked twice
    Project.objects.filter(pk=project.pk).update(control_percent=0)
    project.refresh_from_db()
    other = contractor_of(project)
    seen = [rank_next(project, other).slot.priority for _ in range(2)]
    assert seen == [0, 0]
    project.control_percent = 100
    Slot.objects.filter(state="open", priority=0).update(state="withdrawn")
    assert not has_work(project=project, labeler=contractor_of(project), kind="comparison")
    assert claim.claim_slot(project=project, labeler=contractor_of(project)) is None


def test_rankings_of_controls_stay_out_of_snapshots(project):
    first, _ = comparisons(project, 2)
    control_of(first)
    labeler = contractor_of(project)
    rank_next(project, labeler)
    kept = rank_next(project, labeler)
    found = candidates(project=project, kind="rankings", rules=check_rules("rankings", {}))
    assert [pk for pk, _ in found.rows] == [kept.pk]
    assert found.excluded == {"hidden controls": 1}


def test_only_a_full_order_of_a_training_comparison_makes_a_control_once(project):
    (comparison,) = comparisons(project, 1)
    a, b, c = ids_of(comparison)
    make = {"comparison": comparison, "judgements": 3, "by": None}
    for tiers, field in (([[a], [b]], "ranks"), ([[a, b, c]], "ranks"), ([[a], [b, b, c]], "ranks")):
        with pytest.raises(BadInput) as problem:
            control_items.make_control(tiers=tiers, **make)
        assert problem.value.field == field
    with pytest.raises(BadInput, match="1 to 1000"):
        control_items.make_control(tiers=[[a], [b, c]], **{**make, "judgements": 0})
    comparison.purpose = "evaluation"
    with pytest.raises(BadInput, match="for training"):
        control_items.make_control(tiers=[[a], [b, c]], **make)
    assert (ControlItem.objects.count(), Slot.objects.count()) == (0, 1)
    comparison.purpose = "training"
    control_items.make_control(tiers=[[a], [b, c]], **make)
    with pytest.raises(Conflict, match="already"):
        control_items.make_control(tiers=[[a], [b, c]], **make)


def test_known_harm_is_of_the_comparison_and_can_be_flagged(project):
    (comparison,) = comparisons(project, 1)
    a, b, c = ids_of(comparison)
    make = {"comparison": comparison, "tiers": [[a], [b, c]], "judgements": 3, "by": None}
    with pytest.raises(BadInput, match="Only completions of this comparison"):
        control_items.make_control(**make, harmful=[a, 0])
    Project.objects.filter(pk=project.pk).update(flags=["hallucination"])
    with pytest.raises(BadInput, match="asks no flag of harm"):
        control_items.make_control(**make, harmful=[])
    assert not ControlItem.objects.exists()
    Project.objects.filter(pk=project.pk).update(flags=["hallucination", "violent"])
    assert control_items.make_control(**make, harmful=[c, a]).harmful == [a, c]


def test_the_form_says_which_completions_are_harmful(project):
    (comparison,) = comparisons(project, 1)
    a, b, c = ids_of(comparison)
    admin = signed_in(MembershipFactory(project=project, role="admin").user)
    url = reverse("control-new", args=[project.slug, comparison.task.public_id])
    said = {f"place-{a}": "1", f"place-{b}": "2", f"place-{c}": "2", "judgements": "3", "harmful": [str(c)]}
    answer = admin.post(url, said)
    assert answer.status_code == 400 and "Tick this, too" in answer.content.decode()
    assert admin.post(url, {**said, "harmful": ["0"], "knows_harm": "on"}).status_code == 400
    assert not ControlItem.objects.exists()
    admin.post(url, {**said, "knows_harm": "on"})
    assert ControlItem.objects.get().harmful == [c]


def test_controls_are_made_where_people_agree(project):
    project.control_percent = 0
    comparisons(project, 3, overlap=2)
    one, other = contractor_of(project), contractor_of(project)
    said = {rank_next(project, one).comparison_id: [1, 2, 3] for _ in range(3)}
    agreed, tied = list(said)[:2]
    for _ in range(3):
        slot = claim.claim_slot(project=project, labeler=other)
        places = [1, 2, 3] if slot.task.comparison.pk == agreed else [1, 1, 2]
        rank_next(project, other, places)
    found = control_items.unanimous(project, least=2)
    assert [comparison.pk for comparison, _ in found] == [agreed]
    assert control_items.unanimous(project, least=3) == []
    assert control_items.make_controls(project=project, least=2, limit=10, judgements=4, by=UserFactory()) == 1
    control = ControlItem.objects.get()
    assert (control.comparison_id, sorted(control.known.values())) == (agreed, [1, 2, 3])
    assert control.comparison.task.state == "open"
    assert control_items.controls(project).get().waiting == 4
    assert tied not in ControlItem.objects.values_list("comparison", flat=True)


def test_stopping_a_control_withdraws_what_nobody_has_begun(project):
    first, _ = comparisons(project, 2)
    control = control_of(first, judgements=3)
    rank_next(project, contractor_of(project))
    assert control_items.stop_control(control=control, by=UserFactory()) == 2
    counted = control_items.controls(project).get()
    assert (counted.waiting, counted.judged) == (0, 1)
    assert list(control_items.controls(project, asked="waiting")) == []
    assert control_items.ask_more(control=control, judgements=4, by=UserFactory()) == 4
    assert control_items.controls(project, asked="waiting").get().waiting == 4


def test_accuracy_counts_the_pairs_whose_order_is_known():
    known = {1: 1, 2: 2, 3: 2}
    assert control_items.accuracy(known, {1: 1, 2: 2, 3: 3}) == 1.0
    assert control_items.accuracy(known, {1: 2, 2: 1, 3: 3}) == 0.5
    assert control_items.accuracy(known, {1: 1, 2: 1, 3: 1}) == 0.5
