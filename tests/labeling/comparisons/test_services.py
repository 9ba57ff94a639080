"""Storing completions, creating comparisons, keeping them blind."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest

from labeling.assignments.models import Slot, Task, TaskBatch
from labeling.comparisons.leaks import names_itself
from labeling.comparisons.models import Comparison, Completion, DisplayOrder
from labeling.comparisons.selectors import completion_groups, shown
from labeling.comparisons.services import create_comparisons, store_completions
from labeling.core.errors import BadInput
from tests.factories import CheckpointFactory, CompletionFactory, PromptFactory, completions_of

pytestmark = pytest.mark.django_db


def record(prompt, n: int, policy: str = "sft", **changes):
    said = {"id": f"c{n}", "prompt_id": str(prompt.public_id), "policy": policy, "text": f"Text {n}", "token_count": 3}
    sampling = {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 32}
    return SimpleNamespace(**{**said, "finish_reason": "stop", "logprob": -1.5, "sampling": sampling, **changes})


def test_a_sample_run_is_stored_once(project):
    prompt, policy, run = PromptFactory(project=project), CheckpointFactory(project=project), uuid.uuid4()
    same = {"project": project, "run_id": run, "checkpoints": {"sft": policy}}
    assert store_completions(**same, records=[record(prompt, n) for n in range(3)]) == 3
    assert store_completions(**same, records=[record(prompt, n) for n in range(4)]) == 1
    row = Completion.objects.get(source_id="c1")
    assert (row.text, row.checkpoint, row.prompt, row.temperature, row.top_p, row.max_new_tokens) == (
        "Text 1", policy, prompt, 0.7, 0.9, 32,
    )  # fmt: skip


@pytest.mark.parametrize(("change", "field"), [({"policy": "other"}, "policy"), ({"prompt_id": "x"}, "prompt_id")])
def test_a_record_that_fits_nothing_stops_the_whole_run(project, change, field):
    prompt, policy = PromptFactory(project=project), CheckpointFactory(project=project)
    records = [record(prompt, 1), record(prompt, 2, **change)]
    with pytest.raises(BadInput) as refused:
        store_completions(project=project, run_id=uuid.uuid4(), checkpoints={"sft": policy}, records=records)
    assert refused.value.field == field
    assert not Completion.objects.exists()


def test_every_slot_has_a_random_order_of_its_own(project):
    groups = [completions_of(PromptFactory(project=project), 9) for _ in range(4)]
    create_comparisons(project=project, groups=groups, by=None, overlap=5)
    orders = set()
    for slot in Slot.objects.all():
        completions = list(shown(slot).values())
        assert {row.pk for row in completions} == set(
            slot.task.comparison.items.values_list("completion_id", flat=True)
        )
        orders.add(tuple(sorted(row.pk for row in completions).index(row.pk) for row in completions))
    assert len(orders) == 20  # that two of twenty orders of nine are the same has a chance of 1 in 1900
    assert DisplayOrder.objects.count() == 4 * 5 * 9


@pytest.mark.parametrize("k", [1, 10])
def test_a_comparison_takes_two_to_nine(project, k):
    with pytest.raises(BadInput) as refused:
        create_comparisons(project=project, groups=[completions_of(PromptFactory(project=project), k)], by=None)
    assert refused.value.field == "k"
    assert not TaskBatch.objects.exists()


def test_a_group_is_of_one_prompt_one_project_and_different_completions(project):
    a, b = completions_of(PromptFactory(project=project), 2)
    for group in (
        [a, a],
        [a, CompletionFactory(prompt=PromptFactory(project=project))],
        completions_of(PromptFactory(), 2),
    ):
        with pytest.raises(BadInput):
            create_comparisons(project=project, groups=[[a, b], group], by=None)
    assert not Task.objects.exists()


def test_completions_that_name_their_model_are_held_back_and_counted(project):
    prompts = PromptFactory.create_batch(2, project=project)
    whole, broken = completions_of(prompts[0], 3), completions_of(prompts[1], 1)
    whole.append(CompletionFactory(prompt=prompts[0], text="As ChatGPT, I cannot."))
    broken.append(CompletionFactory(prompt=prompts[1], text="I am SmolLM2, trained by Hugging Face."))
    batch = create_comparisons(project=project, groups=[whole, broken], by=None)
    assert (batch.settings["held_back"], batch.settings["dropped"]) == (2, 1)
    assert set(Comparison.objects.get().completions.all()) == set(whole[:3])


def test_an_evaluation_that_lost_one_side_is_dropped(project):
    prompts = PromptFactory.create_batch(2, project=project, split="test")
    parent, new = CheckpointFactory.create_batch(2, project=project)
    fair = [CompletionFactory(prompt=prompts[0], checkpoint=policy) for policy in (parent, new)]
    unfair = completions_of(prompts[1], 2, checkpoint=parent)
    unfair.append(CompletionFactory(prompt=prompts[1], checkpoint=new, text="OpenAI made me."))
    batch = create_comparisons(project=project, groups=[fair, unfair], by=None, purpose="evaluation")
    assert batch.settings["dropped"] == 1
    assert Comparison.objects.get().purpose == "evaluation"


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("I'm Claude, an assistant.", True),
        ("My name is Gemini.", True),
        ("I was trained by DeepSeek.", True),
        ("I am a large LLaMA-2 model.", True),
        ("Claude Monet painted water lilies.", False),
        ("A llama is a mammal of the Andes.", False),
        ("The Mistral blows in Provence.", False),
        ("The twins of Gemini.", False),
    ],
)
def test_what_gives_a_model_away(text, leaks):
    assert names_itself(text) is leaks


def test_names_the_prompt_already_has_give_nothing_away():
    asked = [{"role": "user", "content": "Who founded OpenAI?"}]
    assert names_itself("OpenAI was founded in 2015.", messages=asked) is False
    assert names_itself("OpenAI was founded in 2015.") is True


def test_groups_take_policies_in_turn_and_never_use_a_completion_twice(project):
    prompts = PromptFactory.create_batch(3, project=project)
    one, two = CheckpointFactory.create_batch(2, project=project)
    for prompt in prompts[:2]:
        for policy in (one, two):
            completions_of(prompt, 3, checkpoint=policy)
    completions_of(prompts[2], 6, checkpoint=one)  # nothing from the other policy
    same = {"project": project, "checkpoints": [one, two], "prompts": prompts, "k": 4}
    groups = completion_groups(**same)
    assert [[row.checkpoint for row in group] for group in groups] == [[one, two, one, two]] * 2
    assert [group[0].prompt for group in groups] == prompts[:2]
    create_comparisons(project=project, groups=groups, by=None)
    assert completion_groups(**same) == []
    assert len(completion_groups(**{**same, "k": 2})) == 2


def test_nobody_is_asked_to_rank_equal_texts_of_one_policy(project):
    one, two = CheckpointFactory.create_batch(2, project=project)
    prompts = PromptFactory.create_batch(4, project=project)
    said = (["a", "a", "b", "c", "d"], ["a", "b", "a ", "a"], ["a", "a", "a", "a"])
    for prompt, texts in zip(prompts, said, strict=False):
        for text in texts:
            CompletionFactory(prompt=prompt, checkpoint=one, text=text)
    groups = completion_groups(project=project, checkpoints=[one], prompts=prompts, k=4)
    assert [[row.text for row in group] for group in groups] == [["a", "b", "c", "d"], ["a", "b"]]
    for policy in (one, two):
        CompletionFactory(prompt=prompts[3], checkpoint=policy, text="the same")
    (both,) = completion_groups(project=project, checkpoints=[one, two], prompts=prompts[3:], k=2)
    assert [row.checkpoint for row in both] == [one, two]


def test_groups_of_one_run_hold_its_completions_only(project):
    prompt, policy, run = PromptFactory(project=project), CheckpointFactory(project=project), uuid.uuid4()
    completions_of(prompt, 4, checkpoint=policy)
    completions_of(prompt, 2, checkpoint=policy, source_run=run)
    groups = completion_groups(project=project, checkpoints=[policy], prompts=[prompt], k=2, run_id=run)
    assert [[row.source_run for row in group] for group in groups] == [[run, run]]
