"""Completions that name their model: held back, listed, released or kept out."""

from __future__ import annotations

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.comparisons import held_back, selectors
from labeling.comparisons.leak_views import marked
from labeling.comparisons.leaks import is_telling, leak_in
from labeling.comparisons.models import Completion, HeldBack
from labeling.comparisons.services import create_comparisons, store_completions
from labeling.core.errors import BadInput
from labeling.people.models import Role
from labeling.projects.models import Project
from tests.factories import CheckpointFactory, CompletionFactory, MembershipFactory, PromptFactory, completions_of

pytestmark = pytest.mark.django_db


def group(project: Project, *texts: str) -> list[Completion]:
    """Completions of one prompt with these texts, by one policy."""
    prompt, policy = PromptFactory(project=project), CheckpointFactory(project=project)
    return [CompletionFactory(prompt=prompt, checkpoint=policy, text=text) for text in texts]


def test_the_project_s_own_names_are_whole_words() -> None:
    assert leak_in("Ask HelperBot, it knows.", names=["helperbot", "a.b"]) == "HelperBot"
    assert leak_in("HelperBots know.", names=["helperbot"]) == ""
    assert leak_in("axb and a.b", names=["a.b"]) == "a.b"
    assert leak_in("HelperBot or OpenAI", names=["HelperBot"]) == "HelperBot"
    assert leak_in("HelperBot", messages=[{"role": "user", "content": "Who is helperbot?"}], names=["HelperBot"]) == ""


def test_what_is_sampled_is_looked_through_at_once(project: Project) -> None:
    Project.objects.filter(pk=project.pk).update(leak_names="HelperBot\n\n Acme ")
    project.refresh_from_db()
    prompt, policy = PromptFactory(project=project), CheckpointFactory(project=project)
    texts = ["I am HelperBot.", "Fine.", "Made by OpenAI."]
    records = [
        SimpleNamespace(
            id=str(n), prompt_id=str(prompt.public_id), policy="p", text=text, token_count=3, finish_reason="stop",
            logprob=-1.0, sampling={},
        )
        for n, text in enumerate(texts)
    ]  # fmt: skip
    store_completions(project=project, run_id=uuid.uuid4(), checkpoints={"p": policy}, records=records)
    assert set(HeldBack.objects.values_list("words", "state")) == {("HelperBot", "held"), ("OpenAI", "held")}
    chosen = selectors.completion_groups(project=project, checkpoints=[policy], prompts=[prompt], k=2)
    assert chosen == []  # one clean completion is left


def test_released_completions_are_compared_and_kept_out_ones_are_not(project: Project) -> None:
    rows = group(project, "Made by OpenAI.", "Fine.", "Also fine.", "ChatGPT here.")
    member = MembershipFactory(project=project, role=Role.ADMIN)
    batch = create_comparisons(project=project, groups=[rows], by=None)
    assert (batch.settings["held_back"], HeldBack.objects.count()) == (2, 2)
    one = HeldBack.objects.filter(words="OpenAI")
    assert held_back.decide(project=project, rows=one, decision="release", by=member.user) == 1
    assert held_back.decide(project=project, rows=one.all(), decision="release", by=member.user) == 0
    again = create_comparisons(project=project, groups=[rows], by=None)
    shown = again.tasks.get().comparison.completions.values_list("text", flat=True)
    assert set(shown) == {"Made by OpenAI.", "Fine.", "Also fine."}
    held_back.decide(project=project, rows=HeldBack.objects.all(), decision="keep_out", by=member.user)
    with pytest.raises(BadInput):
        create_comparisons(project=project, groups=[rows[:2]], by=None)
    with pytest.raises(BadInput):
        held_back.decide(project=project, rows=one, decision="burn", by=member.user)


def test_the_page_marks_the_words_and_counts_before_deciding(client: Client, project: Project) -> None:
    create_comparisons(project=project, groups=[group(project, "By <OpenAI>.", "a", "b")], by=None)
    client.force_login(MembershipFactory(project=project, role=Role.ADMIN).user)
    page = client.get(reverse("leaks", args=[project.slug])).content.decode()
    assert "By &lt;<mark>OpenAI</mark>&gt;." in page
    url = reverse("leaks-decide", args=[project.slug]) + "?decision=release&scope=all&text=openai"
    assert "1 completion will change." in client.get(url).content.decode()
    assert HeldBack.objects.get().state == "held"
    assert client.post(url).headers["Location"] == reverse("leaks", args=[project.slug]) + "?text=openai"
    assert HeldBack.objects.get().state == "released"
    page = client.get(url, follow=True)
    assert page.redirect_chain == [(reverse("leaks", args=[project.slug]) + "?text=openai", 302)]
    client.force_login(MembershipFactory(project=project, role=Role.ENGINEER).user)
    assert client.get(reverse("leaks", args=[project.slug])).status_code == 200
    assert client.post(url).status_code == 403


def test_long_texts_are_shown_around_the_words() -> None:
    shown = marked("x" * 300 + "OpenAI" + "y" * 300, "OpenAI")
    assert shown == "…" + "x" * 160 + "<mark>OpenAI</mark>" + "y" * 160 + "…"
    assert marked("plain", "") == "plain"


def test_groups_stay_full_without_what_was_held_back(project: Project) -> None:
    rows = group(project, "OpenAI", "a", "b")
    held_back.look_through(project, rows)
    (found,) = selectors.completion_groups(
        project=project, checkpoints=[rows[0].checkpoint], prompts=[rows[0].prompt], k=2
    )
    assert [row.text for row in found] == ["a", "b"]
    assert held_back.look_through(project, completions_of(PromptFactory(project=project), 2)) == 0


def test_comparisons_can_be_made_of_one_sampler_setting(project: Project) -> None:
    rows = group(project, "a", "b", "c", "d")
    cool = [
        CompletionFactory(prompt=rows[0].prompt, checkpoint=rows[0].checkpoint, text=t, temperature=0.5) for t in "ef"
    ]
    offered = selectors.samplers(project)
    assert [str(one) for one in offered] == ["temperature 0.5, top-p 1, 64 tokens", "temperature 1, top-p 1, 64 tokens"]
    choice = {"project": project, "checkpoints": [rows[0].checkpoint], "prompts": [rows[0].prompt], "k": 2}
    (found,) = selectors.completion_groups(**choice, samplers=offered[:1])
    assert [row.pk for row in found] == [row.pk for row in cool]


@pytest.mark.parametrize("name", ["sft-1", "ppo-3 (2)", "kestrel", "HelperBot", "reward-kestrel", "SmolTalk-360M"])
def test_a_checkpoint_s_name_gives_it_away(name: str) -> None:
    assert is_telling(name)


@pytest.mark.parametrize(
    "name", ["base", "Policy", "reward model", "the-best-answer", "final_test", "sft", "p-1", "2024", "1.50"]
)
def test_short_names_numbers_and_common_words_do_not(name: str) -> None:
    assert not is_telling(name)


def test_completions_that_name_a_checkpoint_of_the_project_are_held_back(project: Project) -> None:
    for name in ("Kestrel", "sft-1", "sft-1-long", "reward", "p-1"):
        CheckpointFactory(project=project, name=name)
    CheckpointFactory(name="sparrow-9")  # another project's
    texts = {
        "I am KESTREL.": "KESTREL",
        "Trained as sft-1-long.": "sft-1-long",
        "It was SFT-1, then.": "SFT-1",
        "Kestrels are birds; sft-10 and xsft-1 are none.": "",
        "The reward of p-1 and sparrow-9.": "",
    }
    rows = group(project, *texts)
    found = held_back.leaking(project, rows)
    assert [found.get(row.pk, "") for row in rows] == list(texts.values())
    asked = PromptFactory(project=project, messages=[{"role": "user", "content": "What is a kestrel?"}])
    told = CompletionFactory(prompt=asked, checkpoint=rows[0].checkpoint, text="A kestrel is a bird.")
    assert held_back.leaking(project, [told]) == {}, "the prompt names it"


def test_names_ask_the_database_once_however_many_completions(project: Project, django_assert_num_queries: Any) -> None:
    rows = group(project, *["Fine."] * 20)
    with django_assert_num_queries(2):
        held_back.leaking(project, rows)
