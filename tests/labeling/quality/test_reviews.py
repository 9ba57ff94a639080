"""The review queue: which rule asks, what a decision does, what snapshots take."""

from __future__ import annotations

import uuid

import pytest
from django.urls import reverse

from labeling.assignments import returned
from labeling.comparisons.models import Ranking
from labeling.core.errors import BadInput, Conflict, NotAllowed
from labeling.core.models import Event
from labeling.datasets.rules import candidates, check_rules
from labeling.datasets.services import freeze
from labeling.demonstrations.models import Demonstration
from labeling.people.models import Role, User
from labeling.projects.models import Project
from labeling.quality import control_items, review_sampling, review_selectors, review_services
from labeling.quality.models import Review
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, contractor_of
from tests.labeling.quality.submitted import comparisons, rank_next, sample, write_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return ProjectFactory()


@pytest.fixture
def reviewer(project: Project) -> User:
    return MembershipFactory(project=project, role=Role.REVIEWER).user


def reasons(project: Project) -> list[str]:
    return list(Review.objects.filter(project=project).order_by("pk").values_list("reason", flat=True))


def waiting(project: Project, work) -> Review:
    """The review of this work."""
    return Review.objects.get(**{"ranking" if isinstance(work, Ranking) else "demonstration": work})


def came_back(project: Project, labeler: User) -> list[returned.Returned]:
    """What this person is asked to change."""
    source = returned.registered()
    return [source.read(row) for row in source.rows(project, labeler)]


# ---- rules


def test_without_rules_nothing_is_reviewed(project):
    comparisons(project, 1)
    rank_next(project, contractor_of(project))
    assert (sample(project), reasons(project)) == (0, [])


def test_the_first_work_of_each_labeler_is_reviewed_and_each_revision_once(project):
    Project.objects.filter(pk=project.pk).update(review_first=2)
    comparisons(project, 3, overlap=2)
    old, new = contractor_of(project), contractor_of(project)
    for _ in range(3):
        rank_next(project, old)
    rank_next(project, new)
    write_next(project, new)
    assert (sample(project), sample(project)) == (4, 0)
    assert reasons(project) == ["new_labeler"] * 4
    rank_next(project, new)
    rank_next(project, new)
    assert sample(project) == 1
    assert Review.objects.filter(labeler=new, kind="comparison").count() == 2


def test_a_random_share_is_drawn_by_the_submission_alone(project):
    drawn = [review_sampling.is_drawn(project.seed, row, 30) for row in submissions(2000)]
    assert drawn == [review_sampling.is_drawn(project.seed, row, 30) for row in submissions(2000)]
    assert 520 < sum(drawn) < 680  # 600 expected, four standard errors of 20
    assert not any(review_sampling.is_drawn(project.seed, row, 0) for row in submissions(200))
    assert all(review_sampling.is_drawn(project.seed, row, 100) for row in submissions(200))


def submissions(number: int):
    return [uuid.uuid5(uuid.NAMESPACE_OID, str(n)) for n in range(number)]


def test_failed_controls_are_reviewed(project):
    Project.objects.filter(pk=project.pk).update(control_percent=100)
    project.refresh_from_db()
    first, _ = comparisons(project, 2)
    ids = sorted(first.completions.values_list("pk", flat=True))
    control_items.make_control(comparison=first, tiers=[[pk] for pk in ids], judgements=5, by=None)
    rank_next(project, contractor_of(project), [1, 2, 3])
    bad = rank_next(project, contractor_of(project), [3, 2, 1])
    rank_next(project, contractor_of(project), [1, 3, 2])  # two of three pairs: failed too
    assert sample(project) == 2
    assert waiting(project, bad).reason == "control"


def test_flagged_work_is_reviewed_when_the_project_wants_it(project):
    Project.objects.filter(pk=project.pk).update(review_flagged=True)
    labeler = contractor_of(project)
    comparisons(project, 2)
    rank_next(project, labeler, prompt_flags=["ambiguous"])
    sensitive = rank_next(project, labeler, prompt_flags=["sensitive"])
    for flag in ("opinion", "violent"):
        pk = comparisons(project, 1)[0].completions.first().pk
        harmful = rank_next(project, labeler, ratings={pk: {"quality": 1, "flags": [flag]}})
    write_next(project, labeler, prompt_flags=["unclear_intent"])
    unsafe = write_next(project, labeler, prompt_flags=["sensitive"])
    assert sample(project) == 3
    assert [waiting(project, work).reason for work in (sensitive, harmful, unsafe)] == ["flagged"] * 3


def test_work_that_may_still_be_taken_back_waits(project):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    project.refresh_from_db()
    write_next(project, contractor_of(project))
    assert review_sampling.sample_reviews(project=project) == 0
    assert sample(project) == 1


def test_requiring_review_later_queues_what_was_passed_over(project):
    write_next(project, contractor_of(project))
    assert sample(project) == 0
    Project.objects.filter(pk=project.pk).update(requires_review=True)
    assert (sample(project), reasons(project)) == (1, ["required"])


# ---- decisions


def test_accepting_and_returning_with_a_note(project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    work = write_next(project, labeler)
    sample(project)
    review = waiting(project, work)
    with pytest.raises(BadInput):
        review_services.return_work(review=review, note="  ", by=reviewer)
    review_services.return_work(review=review, note="Say why.", by=reviewer)
    (back,) = came_back(project, labeler)
    assert (back.slot, back.note) == (work.slot, "Say why.")
    review.refresh_from_db()
    assert (review.state, review.reviewer) == ("returned", reviewer)
    review_services.accept(review=review, by=reviewer)
    assert came_back(project, labeler) == []
    assert Event.objects.filter(object_type="quality.review", verb="moved").count() == 2


def test_nobody_reviews_their_own_work(project):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    work = write_next(project, labeler)
    sample(project)
    with pytest.raises(NotAllowed):
        review_services.accept(review=waiting(project, work), by=labeler)
    assert (
        review_services.accept_all(project=project, reviews=Review.objects.values_list("pk", flat=True), by=labeler)
        == 0
    )
    assert waiting(project, work).state == "waiting"


def test_an_edited_ranking_is_a_revision_of_the_reviewer_accepted_at_once(project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    comparisons(project, 1)
    work = rank_next(project, contractor_of(project), reason="Clearer.")
    sample(project)
    a, b, c = sorted(work.items.values_list("completion", flat=True))
    fresh = review_services.edit_ranking(review=waiting(project, work), tiers=[[c], [a, b]], by=reviewer)
    made = fresh.ranking
    assert dict(made.items.values_list("completion", "rank")) == {c: 1, a: 2, b: 2}
    assert (made.supersedes, made.labeler, made.slot, made.reason) == (work, reviewer, work.slot, "Clearer.")
    assert (fresh.state, waiting(project, work).state) == ("accepted", "replaced")
    assert sample(project) == 0
    with pytest.raises(Conflict, match="newer revision"):
        review_services.accept(review=waiting(project, work), by=reviewer)


def test_an_edited_order_of_two_says_how_much_better_where_the_project_asks(client, project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100, asks_strength=True)
    comparisons(project, 1, k=2)
    work = rank_next(project, contractor_of(project), strength=3)
    sample(project)
    client.force_login(reviewer)
    url = reverse("review-edit", args=[project.slug, waiting(project, work).public_id])
    a, b = sorted(work.items.values_list("completion", flat=True))
    turned = {f"place-{a}": "2", f"place-{b}": "1"}
    refused = client.post(url, turned)
    assert refused.status_code == 400 and "Say how much better" in refused.content.decode()
    assert client.post(url, turned | {"strength": "1"}).status_code == 302
    assert work.superseded_by.strength == 1


def test_an_edited_demonstration_keeps_the_author_s_text_beneath(project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    work = write_next(project, contractor_of(project), "Becuase.")
    sample(project)
    fresh = review_services.edit_demonstration(review=waiting(project, work), text="Because.", by=reviewer)
    assert (fresh.demonstration.text, fresh.demonstration.supersedes.text) == ("Because.", "Becuase.")
    with pytest.raises(BadInput):
        review_services.edit_ranking(review=fresh, tiers=[[1]], by=UserFactory())


def test_a_new_revision_of_returned_work_comes_back_to_the_queue(project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    work = write_next(project, labeler)
    sample(project)
    review_services.return_work(review=waiting(project, work), note="Longer.", by=reviewer)
    again = revise(work)
    assert came_back(project, labeler) == []
    assert sample(project) == 1
    assert waiting(project, again).reason == "revised"
    assert [one.pk for one in review_selectors.queue(project)] == [waiting(project, again).pk]
    third = revise(again)
    assert sample(project) == 1
    assert (waiting(project, again).state, waiting(project, third).state) == ("replaced", "waiting")


def revise(work):
    """The author's next revision."""
    fields = {name: getattr(work, name) for name in ("project", "prompt", "task", "slot", "labeler", "guideline")}
    return Demonstration.objects.create(**fields, supersedes=work, text="Longer.", submission=uuid.uuid4())


# ---- snapshots


def test_snapshots_leave_returned_work_out_and_take_only_accepted_work_where_review_is_required(project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    good, bad, _ = (write_next(project, labeler) for _ in range(3))
    sample(project)
    review_services.accept(review=waiting(project, good), by=reviewer)
    review_services.return_work(review=waiting(project, bad), note="No.", by=reviewer)
    found = candidates(project=project, kind="demonstrations", rules=check_rules("demonstrations", {}))
    assert (found.rows.count(), found.excluded) == (2, {"returned by a reviewer": 1})
    Project.objects.filter(pk=project.pk).update(requires_review=True)
    project.refresh_from_db()
    snapshot = freeze(project=project, kind="demonstrations")
    assert list(snapshot.members.values_list("demonstration", flat=True)) == [good.pk]
    assert snapshot.excluded == {"returned by a reviewer": 1, "not accepted by a reviewer": 1}
    assert snapshot.rules["accepted_only"] is True
    with pytest.raises(Conflict, match="part of a snapshot"):
        review_services.edit_demonstration(review=waiting(project, good), text="New.", by=reviewer)


# ---- pages


def test_the_queue_filters_and_accepts_many_after_counting(client, project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    ada = contractor_of(project, name="Ada")
    works = [write_next(project, ada) for _ in range(3)]
    write_next(project, contractor_of(project, name="Bob"))
    sample(project)
    client.force_login(reviewer)
    listed = client.get(reverse("reviews", args=[project.slug]), {"labeler": "ada"})
    assert len(listed.context["page"]) == 3
    accept = reverse("reviews-accept", args=[project.slug])
    asked = client.get(accept + "?labeler=ada", follow=True)
    assert asked.redirect_chain == [(reverse("reviews", args=[project.slug]) + "?labeler=ada", 302)]
    assert "none is ticked" in asked.content.decode()
    chosen = [waiting(project, work).pk for work in works[:2]]
    counted = client.get(accept, {"id": chosen})
    assert "2 pieces of work will be accepted." in counted.content.decode()
    assert Review.objects.filter(state="accepted").count() == 0
    client.post(accept + "?" + "&".join(f"id={pk}" for pk in chosen))
    assert set(Review.objects.filter(state="accepted").values_list("pk", flat=True)) == set(chosen)
    client.post(accept + "?scope=all&labeler=bob")
    assert review_selectors.counts(project) == {"accepted": 3, "waiting": 1}


def test_every_screen_shows_rankings_and_demonstrations(client, project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    comparisons(project, 1)
    works = [
        rank_next(project, labeler, reason="Clearer.", prompt_flags=["ambiguous"]),
        write_next(project, labeler, "Because.", prompt_flags=["unclear_intent"]),
    ]
    sample(project)
    client.force_login(reviewer)
    assert client.get(reverse("reviews", args=[project.slug])).status_code == 200
    for work, shown, flag in zip(works, ("Place 1:", "Because."), ("Ambiguous", "Intent unclear"), strict=True):
        at = [project.slug, waiting(project, work).public_id]
        page = client.get(reverse("review", args=at)).content.decode()
        assert shown in page and flag in page
        assert client.get(reverse("review-edit", args=at)).status_code == 200
    places = {f"place-{item.completion_id}": "1" for item in works[0].items.all()}
    client.post(reverse("review-edit", args=[project.slug, waiting(project, works[0]).public_id]), places)
    assert set(works[0].superseded_by.items.values_list("rank", flat=True)) == {1}


def test_contractors_do_not_see_reviews_of_others(client, project):
    client.force_login(contractor_of(project))
    assert client.get(reverse("reviews", args=[project.slug])).status_code == 403


def test_deciding_opens_the_next_one_that_waits(client, project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    first, second = (write_next(project, contractor_of(project)) for _ in range(2))
    sample(project)
    client.force_login(reviewer)
    newer, older = waiting(project, second), waiting(project, first)
    answer = client.post(reverse("review-accept", args=[project.slug, newer.public_id]))
    assert answer.url == reverse("review", args=[project.slug, older.public_id])
    wrong = client.post(reverse("review-return", args=[project.slug, older.public_id]), {"note": ""})
    assert (wrong.status_code, waiting(project, first).state) == (400, "waiting")
    answer = client.post(reverse("review-return", args=[project.slug, older.public_id]), {"note": "Why?"})
    assert answer.url == reverse("reviews", args=[project.slug])
    assert waiting(project, first).note == "Why?"


def test_returned_work_is_all_listed_by_page_with_what_is_asked_for(client, project, reviewer):
    Project.objects.filter(pk=project.pk).update(review_percent=100)
    labeler = contractor_of(project)
    made = [write_next(project, labeler) for _ in range(22)]
    sample(project)
    for n, work in enumerate(made):
        review_services.return_work(review=waiting(project, work), note=f"Mend {n}.", by=reviewer)
    client.force_login(labeler)
    address = reverse("queue", args=[project.slug])
    first = client.get(address)
    assert [one.note for one in first.context["returned_work"]] == [f"Mend {n}." for n in range(21, 1, -1)]
    rest = client.get(address + first.context["returned"].older)
    assert [one.note for one in rest.context["returned_work"]] == ["Mend 1.", "Mend 0."]
    screen = client.get(reverse("work", args=[project.slug, made[0].slot.public_id]))
    assert screen.context["asked_for"] == "Mend 0.", "also beyond the first page"
