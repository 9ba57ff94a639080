"""Simulated labelers: what they say follows from their temperament, and they work through the services of people."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from labeling.assignments.models import Skip, Slot
from labeling.comparisons import services as comparisons
from labeling.comparisons.models import Completion, Rating
from labeling.core.errors import BadInput, NotAllowed
from labeling.demonstrations import services as demonstrations
from labeling.demonstrations.models import Demonstration
from labeling.people.models import User
from labeling.simulation import preference
from labeling.simulation.labelers import (
    BEST,
    SimulatedLabeler,
    Temperament,
    check_temperament,
    quality,
    work_through,
)
from labeling.simulation.seeding import simulated_labelers
from tests.factories import AcceptanceFactory, CheckpointFactory, GuidelineFactory, MembershipFactory, PromptFactory

GOOD = (
    "You can keep bread fresh in a cloth bag because it lets the crust breathe, for example on a shelf in your kitchen "
    "where it stays dry and cool."
)
BAD = "bread bread bread bread"


def labeler(temperament=None, seed=0, email="a@simulated.invalid"):
    """One who is not in the database."""
    return SimulatedLabeler(User(email=email), temperament or Temperament(noise=0.0, disagreement=0.0), seed)


def completion(pk, text, finish="stop"):
    """A completion that is not in the database."""
    return Completion(pk=pk, text=text, finish_reason=finish)


def test_without_noise_the_liking_is_the_hidden_preference():
    prompt = "How do I keep bread fresh?"
    found = labeler().likings(prompt, [completion(1, GOOD), completion(2, BAD, "length")])
    assert found == {1: preference.score(prompt, GOOD, True), 2: preference.score(prompt, BAD, False)}
    assert found[1] > found[2]


def test_close_likings_share_a_place():
    judge = labeler(Temperament(noise=0.0, tie=0.5))
    assert judge.tiers({1: 3.0, 2: 1.0, 3: 2.8, 4: 2.4}) == [[1, 3, 4], [2]]
    assert labeler(Temperament(tie=0.0)).tiers({1: 3.0, 2: 1.0, 3: 2.8}) == [[1], [3], [2]]


def test_disagreement_bends_each_weight_by_at_most_its_share():
    one = labeler(Temperament(disagreement=0.2), email="a@simulated.invalid").weights
    other = labeler(Temperament(disagreement=0.2), email="b@simulated.invalid").weights
    assert one != other
    for weights in (one, other):
        assert all(0.8 <= weights[name] / weight <= 1.2 for name, weight in preference.WEIGHTS.items())


def test_the_same_seed_makes_the_same_labeler():
    rows = [completion(1, GOOD), completion(2, BAD)]
    assert labeler(Temperament(), seed=5).likings("p", rows) == labeler(Temperament(), seed=5).likings("p", rows)
    assert labeler(Temperament(), seed=5).likings("p", rows) != labeler(Temperament(), seed=6).likings("p", rows)


def test_a_careless_labeler_ranks_by_lot():
    judge = labeler(Temperament(noise=0.0, disagreement=0.0, carelessness=1.0))
    rows = [completion(1, GOOD), completion(2, BAD)]
    wins = sum(found[1] > found[2] for found in (judge.likings("bread", rows) for _ in range(400)))
    assert 150 < wins < 250


def test_quality_runs_from_1_to_7():
    assert [quality(liking) for liking in (-3.0, 0.0, BEST / 2, BEST, 2 * BEST)] == [1, 1, 4, 7, 7]


@pytest.mark.parametrize(
    "wrong", [{"noise": -1.0}, {"tie": -0.1}, {"carelessness": 1.5}, {"disagreement": 2.0}, {"seconds": float("nan")}]
)
def test_a_wrong_temperament_is_named(wrong):
    with pytest.raises(BadInput) as problem:
        check_temperament(Temperament(**wrong))
    assert problem.value.field == next(iter(wrong))


@pytest.fixture
def project(db):
    """Two prompts to write for, one comparison of two completions with overlap 2, nobody to do it yet."""
    place = MembershipFactory(role="admin")
    GuidelineFactory(project=place.project)
    prompts = [PromptFactory(project=place.project, text=text) for text in ("Known prompt?", "Unknown prompt?")]
    demonstrations.create_demonstration_tasks(project=place.project, prompts=prompts, by=place.user, overlap=1)
    checkpoint = CheckpointFactory(project=place.project)
    same = {
        "project": place.project,
        "prompt": prompts[0],
        "checkpoint": checkpoint,
        "token_count": 5,
        "logprob": -1.0,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_new_tokens": 64,
        "finish_reason": "stop",
    }
    group = [Completion.objects.create(text=text, **same) for text in (BAD, GOOD)]
    comparisons.create_comparisons(project=place.project, groups=[group], by=place.user, overlap=2)
    return place.project


def test_they_do_all_there_is_and_pass_on_what_they_cannot_answer(project):
    temperament = Temperament(noise=0.0, tie=0.0, disagreement=0.0, seconds=30.0)
    labelers = simulated_labelers(project=project, temperaments=[temperament] * 2, by=None)
    for one in labelers:
        one.answers = {"Known prompt?": "The answer."}
    done = work_through(project=project, labelers=labelers)
    assert done == 1 + 2 + 2, "one demonstration, two people who pass, two rankings"
    assert Demonstration.objects.get().text == "The answer."
    assert Skip.objects.filter(reason="outside").count() == 2
    rankings = list(project.rankings.order_by("id"))
    assert [len({row.labeler for row in rankings}), len(rankings)] == [2, 2]
    for ranking in rankings:
        first = ranking.items.get(rank=1)
        assert first.completion.text == GOOD
        assert ranking.active_seconds > 0
        assert Rating.objects.get(ranking=ranking, completion=first.completion).quality > 4
    assert Slot.objects.filter(project=project, state="open").count() == 1, "the prompt nobody knows"


def test_a_limit_stops_the_work(project):
    labelers = simulated_labelers(project=project, temperaments=[Temperament()] * 2, by=None)
    assert work_through(project=project, labelers=labelers, kinds=["comparison"], limit=1) == 1
    assert project.rankings.count() == 1


def test_they_obey_the_rules_of_people(project):
    [one] = simulated_labelers(project=project, temperaments=[Temperament()], by=None)
    project.is_paused = True
    project.save()
    with pytest.raises(NotAllowed, match="paused"):
        one.work(project)
    assert not Slot.objects.filter(labeler=one.user).exists()


def test_simulated_labelers_are_made_once_and_cannot_log_in(project, client):
    first = simulated_labelers(project=project, temperaments=[Temperament()] * 3, by=None)
    again = simulated_labelers(project=project, temperaments=[Temperament()] * 3, by=None)
    assert [one.user for one in first] == [one.user for one in again]
    assert all(one.user.is_simulated and not one.user.has_usable_password() for one in first)


def test_the_command_works_until_nothing_is_left(project, capsys):
    call_command("simulate", project.slug, "--labelers", "2", "--until-empty", "--kind", "comparison", "--seed", "4")
    assert "2 simulated labelers did 2 pieces of work" in capsys.readouterr().out
    assert project.rankings.count() == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--until-empty"], "There is no project nowhere"),
        (["{slug}", "--until-empty", "--labelers", "0"], "--labelers must be at least 1"),
        (["{slug}", "--limit", "0"], "--limit must be at least 1"),
        (["{slug}", "--until-empty", "--noise", "-1"], "noise"),
    ],
)
def test_the_command_says_what_is_wrong(project, arguments, said):
    with pytest.raises(CommandError, match=said):
        call_command("simulate", *[part.format(slug=project.slug) for part in arguments])
    assert not project.rankings.exists()
    assert not User.objects.filter(is_simulated=True).exists()


def test_an_accepted_guideline_belongs_to_the_work(project):
    [one] = simulated_labelers(project=project, temperaments=[Temperament()], by=None)
    one.work(project, ["comparison"])
    ranking = project.rankings.get()
    assert ranking.guideline.version > 0
    assert not AcceptanceFactory._meta.model.objects.filter(user=one.user).exclude(guideline=ranking.guideline).exists()
