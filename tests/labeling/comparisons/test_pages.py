"""The comparison screen: blind, whole without script, nothing lost."""

from __future__ import annotations

import re
import uuid

import pytest
from django.urls import reverse

from labeling.assignments.models import Slot
from labeling.comparisons.models import Completion, Ranking
from labeling.comparisons.selectors import shown
from labeling.comparisons.services import create_comparisons
from tests.factories import (
    AcceptanceFactory,
    CheckpointFactory,
    CompletionFactory,
    GuidelineFactory,
    ProjectFactory,
    PromptFactory,
    completions_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def contractor(client, labeler):
    client.force_login(labeler)
    return client


@pytest.fixture
def work(contractor, project, four):
    create_comparisons(project=project, groups=[four], by=None, overlap=1)
    answer = contractor.post(reverse("next", args=[project.slug]))
    page = contractor.get(answer.url)
    hidden = {name: str(page.context[name]) for name in ("token", "submission", "active_seconds")}
    return answer.url, hidden, page.content.decode()


def test_what_counts_in_final_evaluations_stands_above_those_alone(contractor, labeler, project, four):
    new = GuidelineFactory(project=project, evaluation="Truth **first**.")
    AcceptanceFactory(guideline=new, user=labeler)
    heard = {}
    for purpose, rows in (("training", four), ("evaluation", completions_of(PromptFactory(project=project), 2))):
        create_comparisons(project=project, groups=[rows], by=None, overlap=1, purpose=purpose, priority=len(heard))
        page = contractor.post(reverse("next", args=[project.slug]), follow=True)
        heard[purpose] = "<p>Truth <strong>first</strong>.</p>" in page.content.decode()
        slot = page.context["slot"]
        reason = {"reason": "other"}
        contractor.post(reverse("work-skip", args=[project.slug, slot.public_id]), reason)
    assert heard == {"training": False, "evaluation": True}


FULL = {
    f"{name}-{letter}": value
    for letter, rank in zip("ABCD", "1332", strict=True)
    for name, value in (("rank", rank), ("q", "5"))
}


def test_a_ranking_goes_through_without_script(contractor, work):
    url, hidden, _ = work
    slot = Slot.objects.get()
    letters = shown(slot)
    said = {**hidden, **FULL, "flag-B": ["opinion", "violent"], "reason": "Because.", "prompt_flag": ["ambiguous"]}
    assert contractor.post(url, said).status_code == 302
    ranking = Ranking.objects.get()
    ranks = dict(ranking.items.values_list("completion", "rank"))
    assert [ranks[letters[letter].pk] for letter in "ABCD"] == [1, 3, 3, 2]
    assert ranking.ratings.get(completion=letters["B"]).flags == ["opinion", "violent"]
    assert set(ranking.ratings.values_list("quality", flat=True)) == {5}
    assert (ranking.reason, ranking.prompt_flags) == ("Because.", ["ambiguous"])


def test_what_is_missing_is_said_beside_it_and_the_rest_is_kept(contractor, work):
    url, hidden, _ = work
    said = {name: value for name, value in FULL.items() if name not in {"rank-C", "q-D"}}
    page = contractor.post(url, {**hidden, **said, "flag-A": ["sexual"], "reason": "Half done"})
    html = page.content.decode()
    assert page.status_code == 400
    assert "Choose a place for C." in html and "Rate the quality of D." in html
    assert "Choose a place for A." not in html
    assert "Half done" in html
    assert len(re.findall(r'name="(?:rank|q)-[A-D]" value="\d" checked', html)) == 6
    assert re.search(r'name="flag-A" value="sexual" checked', html)
    assert not Ranking.objects.exists()


@pytest.mark.parametrize("change", [{"rank-A": "5"}, {"rank-A": "0"}, {"rank-A": "x"}, {"q-A": "8"}, {"q-A": "²"}])
def test_numbers_out_of_range_are_missing(contractor, work, change):
    url, hidden, _ = work
    assert contractor.post(url, {**hidden, **FULL, **change}).status_code == 400
    assert not Ranking.objects.exists()


def test_the_screen_gives_nothing_away(contractor, project):
    """No id, name, sampler, score, length or order of origin of any completion in the page, the draft's answer or the address."""
    prompt = PromptFactory(project=project)
    run = uuid.uuid4()
    policies = [CheckpointFactory(project=project, name=f"policy-{word}") for word in ("alpha", "omega")]
    group = [
        CompletionFactory(
            prompt=prompt, checkpoint=policies[n % 2], source_run=run, source_id=f"source-{n}", token_count=7000 + n,
            logprob=-8123.25 - n, temperature=0.8125, top_p=0.9375, max_new_tokens=6144,
        )
        for n in range(4)
    ]  # fmt: skip
    create_comparisons(project=project, groups=[group], by=None, title="alpha against omega")
    answer = contractor.post(reverse("next", args=[project.slug]))
    html = contractor.get(answer.url).content.decode()
    slot = Slot.objects.get()
    address = reverse("api-draft", args=[project.slug, slot.public_id])
    body = {"token": str(slot.lease_token), "draft": {"rank-A": "1"}}
    said = html + answer.url + contractor.put(address, body, content_type="application/json").content.decode()
    secrets = {"alpha", "omega", "8123", "0.8125", "0.9375", "6144", str(run)}
    for row in Completion.objects.all():
        secrets |= {str(row.public_id), row.source_id, str(row.token_count)}
        assert row.text in html
    for policy in policies:
        secrets |= {str(policy.public_id), policy.name, policy.path}
    assert not [secret for secret in secrets if secret in said]
    numbers = set(re.findall(r'(?:value|id|name|data-[a-z-]+)="(\d+)"', html))
    own = str(slot.labeler_id)  # drafts on the device are kept by person
    assert numbers <= {str(n) for n in range(10)} | {
        str(project.daily_goal),
        str(project.break_minutes),
        "1799",
        "1800",
        own,
    }


def test_letters_follow_the_stored_order(work, project):
    _, _, html = work
    slot = Slot.objects.get()
    for letter, completion in shown(slot).items():
        card = html.split(f'id="resp-{letter}"')[1].split("</article>")[0]
        assert completion.text in card


def test_hostile_text_is_harmless(contractor, project):
    prompt = PromptFactory(project=project)
    policy = CheckpointFactory(project=project)
    hostile = ["<script>alert(1)</script>", '<img src="//evil/x">', "[x](javascript:alert(1))", "![x](//evil/y)"]
    group = [CompletionFactory(prompt=prompt, checkpoint=policy, text=text) for text in hostile]
    create_comparisons(project=project, groups=[group], by=None)
    html = contractor.get(contractor.post(reverse("next", args=[project.slug])).url).content.decode()
    assert "<script>alert" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html


def test_strength_is_asked_for_two_where_the_project_wants_it(client):
    from tests.factories import contractor_of

    project = ProjectFactory(asks_strength=True)
    client.force_login(contractor_of(project))
    create_comparisons(project=project, groups=[completions_of(PromptFactory(project=project), 2)], by=None)
    url = client.post(reverse("next", args=[project.slug])).url
    page = client.get(url)
    hidden = {name: str(page.context[name]) for name in ("token", "submission")}
    said = {**hidden, "rank-A": "1", "rank-B": "2", "q-A": "5", "q-B": "4"}
    assert "Say how much better" in client.post(url, said).content.decode()
    assert client.post(url, {**said, "strength": "2"}).status_code == 302
    assert Ranking.objects.get().strength == 2


def test_a_saved_draft_is_shown_again(contractor, work):
    url, hidden, _ = work
    contractor.post(url, {**hidden, "rank-B": "2", "flag-C": ["violent"], "act": "save"})
    html = contractor.get(url).content.decode()
    assert re.search(r'name="rank-B" value="2" checked', html)
    assert re.search(r'name="flag-C" value="violent" checked', html)
