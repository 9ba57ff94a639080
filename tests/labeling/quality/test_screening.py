"""Screening: who qualifies gets only screening work; the rule, an admin or a reviewer's grades decide; it is logged."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.assignments import claim
from labeling.assignments.leases import release
from labeling.assignments.models import Slot
from labeling.assignments.skip import skip_slot
from labeling.core.errors import BadInput, Conflict, NotAllowed
from labeling.core.models import Event
from labeling.datasets.rules import candidates
from labeling.demonstrations.services import create_demonstration_tasks, submit_demonstration
from labeling.people.models import Role
from labeling.projects import services as projects
from labeling.projects.models import Membership
from labeling.prompts.models import Prompt
from labeling.quality import screening_decisions as decisions
from labeling.quality import screening_results as results
from labeling.quality.control_items import make_control
from labeling.quality.models import ControlItem
from labeling.quality.screening_models import Qualification, ScreeningPiece
from labeling.quality.screening_work import answer_question
from tests.factories import AcceptanceFactory, MembershipFactory, ProjectFactory, PromptFactory, contractor_of
from tests.labeling.conftest import signed_in
from tests.labeling.quality.submitted import comparisons, rank_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def world():
    """A project that screens with one control of three completions (known order: as made) and one prompt."""
    project = ProjectFactory()
    regular = contractor_of(project)
    admin = MembershipFactory(project=project, role=Role.ADMIN).user
    reviewer = MembershipFactory(project=project, role=Role.REVIEWER).user
    (comparison,) = comparisons(project, 1)
    Slot.objects.filter(task=comparison.task).delete()
    ids = sorted(comparison.completions.values_list("pk", flat=True))
    control = make_control(comparison=comparison, tiers=[[pk] for pk in ids], judgements=1, by=admin)
    decisions.ask_control(control=control, by=admin)
    item = decisions.ask_prompt(prompt=PromptFactory(project=project, text="Why is the sky blue?"), by=admin)
    decisions.save_rule(project=project, is_on=True, by=admin, question="What can you judge?")
    project.refresh_from_db()
    return SimpleNamespace(project=project, regular=regular, admin=admin, reviewer=reviewer, prompt_task=item.task)


def newcomer(world) -> Membership:
    """Somebody who accepted the guideline and is being screened."""
    place = MembershipFactory(project=world.project, state=Membership.State.QUALIFYING)
    AcceptanceFactory(guideline=world.project.guidelines.get(), user=place.user)
    return place


def write(slot: Slot, labeler) -> None:
    submit_demonstration(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=uuid.uuid4(), text="Rayleigh."
    )


def next_slot(world, place) -> Slot | None:
    return claim.claim_slot(project=world.project, labeler=place.user)


def hand_in(world, place, places=(1, 2, 3), **said: object) -> None:
    """All of it: the ranking, the demonstration, the answer."""
    rank_next(world.project, place.user, places, **said)
    write(next_slot(world, place), place.user)
    answer_question(project=world.project, labeler=place.user, answer="Chemistry.")


def piece_of(place) -> ScreeningPiece:
    return ScreeningPiece.objects.get(qualification__membership=place, item__control=None)


def test_invited_contractors_qualify_first(world) -> None:
    for role, state in ((Role.CONTRACTOR, "qualifying"), (Role.REVIEWER, "active")):
        email = f"{role}@example.org"
        _, secret = projects.invite(project=world.project, email=email, role=role, by=world.admin)
        projects.accept_invitation(secret=secret, name="New", password="a long enough password")
        assert Membership.objects.get(project=world.project, user__email=email).state == state


def test_they_get_the_screening_work_and_nothing_else(world) -> None:
    create_demonstration_tasks(project=world.project, prompts=[PromptFactory(project=world.project)], by=None)
    place = newcomer(world)
    first = next_slot(world, place)
    assert first.kind == "comparison" and next_slot(world, place).pk == first.pk
    rank_next(world.project, place.user)
    second = next_slot(world, place)
    assert second.task_id == world.prompt_task.pk and second.guideline == world.project.guidelines.get()
    write(second, place.user)
    assert next_slot(world, place) is None
    steps = results.steps(world.project, place.user)
    assert (steps.done, steps.total, steps.has_task, steps.asks) == (2, 3, False, True)


def test_each_newcomer_gets_every_item(world) -> None:
    for place in (newcomer(world), newcomer(world)):
        hand_in(world, place)
        assert results.result_of(place).is_handed_in
    assert ScreeningPiece.objects.count() == 4


def test_a_lease_that_ran_out_comes_back_with_its_draft_and_goes_to_nobody_else(world) -> None:
    place = newcomer(world)
    rank_next(world.project, place.user)
    slot = next_slot(world, place)
    slot.draft = {"text": "Half"}
    slot.save(update_fields=["draft"])
    release(slot, by=None)
    assert claim.claim_slot(project=world.project, labeler=world.regular, kinds=["demonstration"]) is None
    again = next_slot(world, place)
    assert (again.pk, again.draft) == (slot.pk, {"text": "Half"})


def test_the_start_page_leads_from_the_guideline_to_the_pieces_to_the_decision(world) -> None:
    place = MembershipFactory(project=world.project, state=Membership.State.QUALIFYING)
    client, start = signed_in(place.user), f"/p/{world.project.slug}/label/"
    page = client.get(start).content.decode()
    assert "Read the guideline first" in page and "data-continue" not in page
    AcceptanceFactory(guideline=world.project.guidelines.get(), user=place.user)
    page = client.get(start).content.decode()
    assert "Read the guideline first" not in page and "data-continue" in page and "0 of 3" in page
    hand_in(world, place)
    page = client.get(start).content.decode()
    assert "An admin decides now" in page and "data-continue" not in page
    projects.update_project(project=world.project, by=world.admin, requires_screening=False)
    page = client.get(start).content.decode()
    assert "You are not qualified yet." in page and "An admin decides now" not in page


def test_without_screening_a_qualifying_person_waits(world) -> None:
    projects.update_project(project=world.project, by=world.admin, requires_screening=False)
    with pytest.raises(NotAllowed, match="qualifying"):
        next_slot(world, newcomer(world))


@pytest.mark.parametrize(
    ("places", "grade", "agreement", "meets"),
    [
        ((1, 2, 3), 6, 1.0, True),
        ((1, 3, 2), 7, 2 / 3, False),
        ((1, 2, 2), 6, 2.5 / 3, True),
        ((1, 2, 3), 5, 1.0, False),
    ],
)
def test_the_rule_is_75_percent_and_six_of_seven(world, places, grade, agreement, meets) -> None:
    place = newcomer(world)
    hand_in(world, place, places)
    assert results.result_of(place).meets is None  # not graded yet
    decisions.grade(piece=piece_of(place), grade=grade, by=world.reviewer)
    result = results.result_of(place)
    assert (result.agreement, result.pairs, result.grades) == (pytest.approx(agreement), 3, (grade,))
    assert result.meets is meets
    place.refresh_from_db()
    assert place.state == "qualifying"  # a person decides


@pytest.mark.parametrize(
    ("flags", "flagging", "meets"),
    [
        ([[], ["hallucination"], ["violent"]], 1.0, True),
        ([[], [], ["off_task"]], 2 / 3, False),
        ([["sexual"], [], ["sexual"]], 2 / 3, False),
        ([["sexual"], [], []], 1 / 3, False),
    ],
)
def test_harm_that_is_known_is_to_be_flagged_and_nothing_else(world, flags, flagging, meets) -> None:
    control = ControlItem.objects.get()
    *_, harmful = sorted(control.known)
    ControlItem.objects.update(harmful=[harmful])
    place = newcomer(world)
    ratings = {pk: {"flags": said} for pk, said in zip(sorted(control.known), flags, strict=True)}
    hand_in(world, place, ratings=ratings)
    decisions.grade(piece=piece_of(place), grade=7, by=world.reviewer)
    result = results.result_of(place)
    assert (result.flagging, result.flaggable, result.meets) == (pytest.approx(flagging), 3, meets)
    page = signed_in(world.reviewer).get(f"/p/{world.project.slug}/screening/{place.pk}/").content.decode()
    assert f"harm flagged rightly in {round(3 * flagging)} of 3" in page and "known to be harmful" in page


def test_harm_is_not_held_against_people_who_are_not_asked_for_it(world) -> None:
    ControlItem.objects.update(harmful=list(ControlItem.objects.get().known))
    place = newcomer(world)
    hand_in(world, place)
    decisions.grade(piece=piece_of(place), grade=7, by=world.reviewer)
    assert results.result_of(place).flagging == 0.0
    projects.update_project(project=world.project, by=world.admin, flags=["hallucination"])
    result = results.result_of(Membership.objects.get(pk=place.pk))
    assert (result.flagging, result.flaggable, result.meets) == (None, 0, True)


def test_the_rule_may_decide_alone_but_turns_nobody_away(world) -> None:
    decisions.save_rule(project=world.project, is_on=True, by=world.admin, decides_alone=True)
    good, bad = newcomer(world), newcomer(world)
    hand_in(world, good)
    hand_in(world, bad, (3, 2, 1))
    for place in (good, bad):
        decisions.grade(piece=piece_of(place), grade=7, by=world.reviewer)
        place.refresh_from_db()
    assert (good.state, bad.state) == ("active", "qualifying")
    event = Event.objects.get(verb="passed screening")
    assert (event.actor, event.after) == (None, {"pieces": "2/2", "agreement": 1.0, "pairs": 3, "grades": "7"})
    kept = Qualification.objects.get(membership=good)
    assert (kept.decided_by, kept.agreement, kept.flagging, kept.grade) == (None, 1.0, None, 7.0)


def test_an_admin_decides_either_way_and_it_is_logged(world) -> None:
    passed, failed = newcomer(world), newcomer(world)
    with pytest.raises(BadInput, match="Write why"):
        decisions.decide(membership=failed, passed=False, by=world.admin)
    decisions.decide(membership=passed, passed=True, by=world.admin)
    decisions.decide(membership=failed, passed=False, by=world.admin, note="Read the guideline again.")
    for place in (passed, failed):
        place.refresh_from_db()
    assert (passed.state, failed.state, failed.paused_reason) == ("active", "paused", "Read the guideline again.")
    assert failed.paused_by == world.admin and failed.paused_at is not None  # the page of the appeal says both
    assert set(Event.objects.filter(verb__endswith="screening", actor=world.admin).values_list("verb", flat=True)) >= {
        "passed screening",
        "failed screening",
    }
    with pytest.raises(Conflict, match="is over"):
        decisions.decide(membership=passed, passed=True, by=world.admin)


def test_skipped_pieces_leave_the_decision_to_a_person(world) -> None:
    place = newcomer(world)
    slot = next_slot(world, place)
    skip_slot(slot_id=slot.public_id, labeler=place.user, token=slot.lease_token, reason="outside")
    write(next_slot(world, place), place.user)
    answer_question(project=world.project, labeler=place.user, answer="Law.")
    decisions.grade(piece=piece_of(place), grade=7, by=world.reviewer)
    result = results.result_of(place)
    assert (result.is_handed_in, result.skipped, result.agreement, result.meets) == (True, 1, None, None)


def test_screening_work_never_enters_a_snapshot(world) -> None:
    place = newcomer(world)
    hand_in(world, place)
    found = candidates(project=world.project, kind="demonstrations", rules={"splits": ["train"]})
    assert found.rows.count() == 0 and found.excluded["made to qualify"] == 1
    assert (
        candidates(
            project=world.project, kind="rankings", rules={"splits": ["train"], "purpose": "training"}
        ).rows.count()
        == 0
    )


def test_the_last_item_stays_while_screening_is_on(world) -> None:
    first, last = results.items(world.project)
    decisions.ask_no_more(item=first, by=world.admin)
    with pytest.raises(Conflict, match="switch the screening off"):
        decisions.ask_no_more(item=last, by=world.admin)
    with pytest.raises(BadInput, match="nothing to screen with"):
        decisions.save_rule(project=ProjectFactory(), is_on=True, by=world.admin)


def test_the_pages_lead_through_it(world) -> None:
    place = newcomer(world)
    client, base = signed_in(place.user), f"/p/{world.project.slug}/"
    start = client.get(f"{base}label/").content.decode()
    assert "Show how you work" in start and "0 of 3" in start
    assert f"{base}work/" in client.post(f"{base}next/").url
    hand_in(world, place)
    assert client.get(f"{base}label/screening/").status_code == 200
    assert client.post(f"{base}label/screening/", {"answer": " "}).status_code == 400
    assert client.post(f"{base}label/screening/", {"answer": "Physics."}).url == f"{base}label/"
    assert "An admin decides now" in client.get(f"{base}label/").content.decode()
    assert client.get(f"{base}screening/").status_code == 403

    reviewer, person = signed_in(world.reviewer), f"{base}screening/{place.pk}/"
    page = reviewer.get(person).content.decode()
    assert "Physics." in page and "100 % of 3 pairs in order" in page and "Let them work" not in page
    piece = piece_of(place)
    assert reviewer.post(f"{base}screening/pieces/{piece.pk}/grade/", {"grade": "8"}).status_code == 400
    assert reviewer.post(f"{base}screening/pieces/{piece.pk}/grade/", {"grade": "6"}).url == person
    assert reviewer.post(f"{person}decide/", {"decision": "pass"}).status_code == 403

    admin = signed_in(world.admin)
    assert "Met" in admin.get(f"{base}screening/").content.decode()
    assert admin.post(f"{person}decide/", {"decision": "refuse"}).status_code == 400
    assert admin.post(f"{person}decide/", {"decision": "pass"}).url == f"{base}screening/"
    place.refresh_from_db()
    assert place.state == "active"
    assert "Show how you work" not in client.get(f"{base}label/").content.decode()


def test_admins_choose_what_is_asked(world) -> None:
    admin, base = signed_in(world.admin), f"/p/{world.project.slug}/screening/"
    prompt = PromptFactory(project=world.project, text="Explain tides.")
    assert "Explain tides." in admin.get(f"{base}items/?text=tides").content.decode()
    admin.post(f"{base}items/add/", {"prompt": str(prompt.pk)})
    assert [item.task.prompt.summary for item in results.items(world.project)][-1] == "Explain tides."
    assert admin.post(f"{base}items/add/", {"prompt": str(PromptFactory().pk)}).status_code == 404
    assert admin.post(f"{base}items/add/", {"control": "x"}).status_code == 404
    last = list(results.items(world.project))[-1]
    admin.post(f"{base}items/{last.pk}/remove/")
    assert last not in results.items(world.project)
    said = {"min_agreement": "80", "min_flags": "70", "min_grade": "5.5", "question": ""}
    assert admin.post(base, {**said, "min_grade": "9"}).status_code == 400
    admin.post(base, said)
    world.project.refresh_from_db()
    rule = results.rule_of(world.project)
    assert (rule.min_agreement, rule.min_flags, rule.min_grade, world.project.requires_screening) == (
        80,
        70,
        5.5,
        False,
    )


def test_the_list_of_people_asks_as_often_for_many_as_for_one(world) -> None:
    asked = []
    for expected in (1, 3):
        while Membership.objects.filter(project=world.project, state="qualifying").count() < expected:
            place = newcomer(world)
            hand_in(world, place, (1, 3, 2))
        with CaptureQueriesContext(connection) as queries:
            rows = results.with_results(world.project, list(results.people(world.project)))
        asked.append(len(queries))
        assert [(result.done, result.pairs, round(result.percent or 0)) for _, result in rows] == [
            (2, 3, 67)
        ] * expected
    assert asked[0] == asked[1] <= 9


def warn(world) -> None:
    """The prompt's category comes with a warning from now on."""
    Prompt.objects.filter(pk=world.prompt_task.prompt_id).update(category="violence")
    world.project.warned_categories = ["violence"]
    world.project.save()


def test_pieces_with_a_content_warning_are_asked_only_of_people_who_take_such_work(world) -> None:
    warn(world)
    place = newcomer(world)
    rank_next(world.project, place.user)
    assert next_slot(world, place) is None
    result = results.result_of(Membership.objects.get(pk=place.pk))
    assert (result.done, result.asked, result.skipped, result.spared) == (1, 1, 0, 1)
    assert "Not asked: content warning" in signed_in(world.reviewer).get(page_of(world, place)).content.decode()
    projects.take_sensitive_work(membership=place, takes=True, by=place.user)
    assert next_slot(world, place).task_id == world.prompt_task.pk
    assert results.result_of(Membership.objects.get(pk=place.pk)).asked == 2


def test_the_rule_passes_people_on_the_pieces_they_were_asked(world) -> None:
    warn(world)
    decisions.save_rule(project=world.project, is_on=True, by=world.admin, question="", decides_alone=True)
    place = newcomer(world)
    rank_next(world.project, place.user)
    assert next_slot(world, place) is None
    assert Membership.objects.get(pk=place.pk).state == "active"


def test_nobody_passes_by_the_rule_who_was_asked_nothing(world) -> None:
    warn(world)
    comparisons_prompt = ControlItem.objects.get().comparison.task.prompt_id
    Prompt.objects.filter(pk=comparisons_prompt).update(category="violence")
    decisions.save_rule(project=world.project, is_on=True, by=world.admin, question="", decides_alone=True)
    place = newcomer(world)
    assert next_slot(world, place) is None
    assert Membership.objects.get(pk=place.pk).state == "qualifying"
    assert results.result_of(place).meets is None


def test_what_was_done_before_opting_out_counts(world) -> None:
    warn(world)
    place = newcomer(world)
    projects.take_sensitive_work(membership=place, takes=True, by=place.user)
    hand_in(world, place)
    projects.take_sensitive_work(membership=place, takes=False, by=place.user)
    result = results.result_of(Membership.objects.get(pk=place.pk))
    assert (result.done, result.asked, result.spared, result.is_handed_in) == (2, 2, 0, True)


def page_of(world, place) -> str:
    return reverse("screening-person", args=[world.project.slug, place.pk])
