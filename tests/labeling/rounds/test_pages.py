"""The overview, the pages of rounds and the quality page: who sees them, what they say, what their buttons do."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from labeling.people.models import Role
from labeling.rounds import activity, figures, overview, services
from labeling.rounds.models import Round
from labeling.runs.models import RunMetric
from tests.factories import MembershipFactory, ProjectFactory, UserFactory

State = Round.State


@pytest.fixture
def admin(loop, client):
    """A client in which the project's admin is logged in."""
    client.force_login(loop.admin)
    return client


def page(client, name, loop, *args):
    """The text of a page."""
    answer = client.get(reverse(name, args=[loop.project.slug, *args]))
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.content.decode())


def post(client, name, loop, data=None):
    """Press a button of the newest round."""
    return client.post(reverse(name, args=[loop.project.slug, loop.round.number]), data or {}, follow=True)


def test_home_leads_to_the_only_project_or_to_the_list(client, db):
    place = MembershipFactory(role=Role.ENGINEER)
    client.force_login(place.user)
    assert client.get("/").url == f"/p/{place.project.slug}/"
    MembershipFactory(user=place.user)
    assert client.get("/").url == reverse("projects")
    contractor = MembershipFactory()
    client.force_login(contractor.user)
    assert client.get("/").url == f"/p/{contractor.project.slug}/label/"
    client.force_login(UserFactory())
    assert client.get("/").url == reverse("projects")
    client.logout()
    assert "login" in client.get("/").url


@pytest.mark.parametrize("name", ["overview", "rounds", "quality"])
def test_contractors_and_strangers_stay_outside(loop, client, name):
    url = reverse(name, args=[loop.project.slug])
    client.force_login(loop.labelers[0].user)
    assert client.get(url).status_code == 403
    client.force_login(UserFactory())
    assert client.get(url).status_code == 404


def test_reviewers_look_but_do_not_drive(loop, client):
    loop.open()
    client.force_login(MembershipFactory(project=loop.project, role=Role.REVIEWER).user)
    assert "Take the next step" not in page(client, "round", loop, 1)
    for button in ("advance", "override", "retry", "collect", "sample", "autopilot", "close"):
        assert client.post(reverse(f"round-{button}", args=[loop.project.slug, 1])).status_code == 403
    assert loop.round.state == State.DEMONSTRATIONS


def test_before_the_first_round_the_overview_says_what_to_do(admin, loop):
    said = page(admin, "overview", loop)
    assert "No round is open yet" in said
    assert "Before the loop can turn" in said
    assert "round to open" in said
    assert "No label came in" in said


def test_an_empty_project_names_what_is_missing(client, db):
    place = MembershipFactory(role=Role.ADMIN, project=ProjectFactory())
    client.force_login(place.user)
    said = client.get(f"/p/{place.project.slug}/").content.decode()
    assert "guideline to publish" in said
    assert "labeler to invite" in said
    assert "Import some to begin" in said


def test_the_stations_stand_where_the_round_stands(loop):
    loop.open()
    loop.until(State.REWARD)
    stops = {
        stop.key: stop for stop in overview.stations(loop.project, loop.round, figures.count(loop.project, loop.round))
    }
    assert {key: stop.state for key, stop in stops.items()} == {
        "prompts": "done",
        "demos": "done",
        "sft": "done",
        "comps": "done",
        "rm": "now",
        "ppo": "next",
        "policy": "next",
    }
    assert (stops["prompts"].number, stops["prompts"].detail) == ("7", "3 held out")
    assert stops["sft"].number == "sft-1"
    assert (stops["comps"].number, stops["comps"].detail) == ("3", "3 in this round")
    ways = overview.ways(list(stops.values()), loop.round)
    assert [way.state for way in ways] == ["done", "done", "done", "now", "next", "next", "next"]


def test_a_second_round_comes_by_the_way_back(loop):
    loop.open()
    loop.until(State.NEXT)
    loop.until(State.COMPARISONS)
    stops = overview.stations(loop.project, loop.round, figures.count(loop.project, loop.round))
    assert [stop.state for stop in stops] == ["done", "done", "done", "now", "next", "next", "next"]
    assert overview.ways(stops, loop.round)[-1].state == "now"
    assert {stop.key: stop.number for stop in stops}["policy"] == "ppo-1"


def test_the_overview_shows_the_run_at_work(admin, loop):
    loop.open()
    loop.until(State.PPO)
    run = loop.run()
    for row, score in enumerate((-1.0, 0.5), start=1):
        values = {"objective/score": score, "objective/kl": row / 2}
        RunMetric.objects.create(run=run, row=row, step=row, time=0.0, values=values)
    said = page(admin, "overview", loop)
    assert "sft-1 learns from your labels" in said
    assert "Reward from −1.00 to 0.50" in said
    assert "KL from 0.50 to 1.00" in said


def test_what_blocks_a_round_is_on_both_pages(admin, loop):
    loop.open()
    loop.label()
    loop.step()
    loop.fail("RuntimeError: <b>out of memory</b>")
    loop.step()
    for said in (page(admin, "overview", loop), page(admin, "round", loop, 1)):
        assert "&lt;b&gt;out of memory" in said
        assert "<b>out of memory" not in said
    assert "Retry the stage" in page(admin, "round", loop, 1)
    assert "round 1 cannot go on" in page(admin, "overview", loop)


def test_the_buttons_drive_the_round(admin, loop):
    loop.open()
    assert "Nothing to do yet" in post(admin, "round-advance", loop).content.decode()
    loop.label()
    assert "went one step on" in post(admin, "round-advance", loop).content.decode()
    assert loop.round.state == State.SFT
    loop.fail()
    loop.step()
    assert "The stage starts again" in post(admin, "round-retry", loop).content.decode()
    assert loop.round.sft_run.state == "queued"
    assert "Autopilot drives" in post(admin, "round-autopilot", loop).content.decode()
    loop.project.refresh_from_db()
    assert loop.project.autopilot


def test_buttons_do_nothing_by_get(admin, loop):
    loop.open()
    loop.label()
    for button in ("advance", "override", "retry", "collect", "sample", "autopilot"):
        assert admin.get(reverse(f"round-{button}", args=[loop.project.slug, 1])).status_code == 405
    admin.get(reverse("round-close", args=[loop.project.slug, 1]))
    assert loop.round.state == State.DEMONSTRATIONS


def test_closing_asks_first_and_says_what_it_does(admin, loop):
    loop.open()
    asked = page(admin, "round-close", loop, 1)
    assert "4 judgements that were asked for stay open" in asked
    assert loop.round.state == State.DEMONSTRATIONS
    post(admin, "round-close", loop)
    assert loop.round.state == State.CLOSED


def test_opening_a_round_by_the_form(admin, loop):
    url = reverse("round-new", args=[loop.project.slug])
    counts = {
        "sample_prompts": 3,
        "overlap": 1,
        "evaluation_prompts": 2,
        "evaluation_overlap": 2,
        "next_prompts": 0,
        "seed": 9,
    }
    answer = admin.post(url, {**counts, "stages": '{"ppo": {"updates": 0}}'})
    assert answer.status_code == 400
    assert answer.context["form"].errors["stages"] == ["ppo.updates: must be from 1 to 1000000, not 0."]
    chinese = admin.post(url, {**counts, "stages": '{"ppo": {"updates": 0}}'}, headers={"accept-language": "zh-CN"})
    assert chinese.context["form"].errors["stages"] == ["ppo.updates：必须在 1 到 1000000 之间，而不是 0。"]
    assert "not JSON" in admin.post(url, {**counts, "stages": "{"}).content.decode()
    assert not Round.objects.exists()
    answer = admin.post(url, {**counts, "stages": '{"ppo": {"updates": 5}}'}, follow=True)
    assert "Round 1 is open" in answer.content.decode()
    assert loop.round.configs == {"ppo": {"updates": 5}, "plan": counts}
    assert "still open" in admin.post(url, {**counts, "stages": ""}).content.decode()


def test_settings_of_later_stages_can_change(admin, loop):
    loop.open(sft={"epochs": 2})
    url = reverse("round-settings", args=[loop.project.slug, 1])
    form = admin.get(url).context["form"]
    data = {name: field.initial for name, field in form.fields.items()}
    answer = admin.post(url, {**data, "stages": '{"sft": {"epochs": 3}}'}, follow=True)
    assert "will use these settings" in answer.content.decode()
    loop.label()
    loop.step()
    assert loop.run().config["epochs"] == 3


def test_people_are_left_out_and_let_in_again_on_the_settings_page(admin, loop):
    loop.open()
    url = reverse("round-settings", args=[loop.project.slug, 1])
    form = admin.get(url).context["form"]
    data = {name: field.initial for name, field in form.fields.items()}
    key = str(loop.labelers[0].user.memberships.get().labeler_key)
    admin.post(url, {**data, "without_labelers": [key]})
    assert loop.round.configs["plan"]["without_labelers"] == [key]
    assert re.search(rf'<option value="{key}" selected>', admin.get(url).content.decode())
    stranger = str(MembershipFactory().labeler_key)
    assert admin.post(url, {**data, "without_labelers": [stranger]}).status_code == 400
    admin.post(url, {**data, "without_labelers": []})
    assert "without_labelers" not in loop.round.configs["plan"]


def test_history_and_standing_show_the_judgements(admin, loop):
    loop.open()
    loop.until(State.NEXT)
    loop.until(State.COMPARISONS)
    loop.label()
    first = Round.objects.get(project=loop.project, number=1)
    assert "ppo-1 against sft-1" in page(admin, "round", loop, 1)
    rows = page(admin, "rounds", loop)
    assert "Round 2" in rows
    assert "0.700" in rows, "the reward model's accuracy"
    assert "3.00" in rows, "KL"
    assert activity.preferences(loop.project)[0]["standing"].policy == first.new_policy.name
    assert "ppo-1 over sft-1" in page(admin, "overview", loop)


def test_the_history_is_paged_and_offers_another_round_only_when_none_is_open(admin, loop):
    Round.objects.bulk_create(Round(project=loop.project, number=number, state="closed") for number in range(101, 123))
    Round.objects.filter(number=122).update(state="sample")
    first = page(admin, "rounds", loop)
    assert "Round 122<" in first and "Round 103<" in first and "Round 102<" not in first
    older = re.search(r'href="(\?before=[0-9]+)"', first)
    second = admin.get(reverse("rounds", args=[loop.project.slug]) + older[1]).content.decode()
    assert "Round 102<" in second and "Round 103<" not in second
    assert all("Open a round" not in text for text in (first, second)), "a round is open"
    Round.objects.update(state="closed")
    assert "Open a round" in page(admin, "rounds", loop)


def test_a_round_without_open_work_says_so(admin, loop):
    loop.open()
    loop.until(State.COMPARISONS)
    loop.label()
    loop.project.comparisons_target = 50
    loop.project.save()
    assert "round without work" in page(admin, "overview", loop)
    services.sample_again(round_id=loop.round.pk, by=loop.admin)
    assert loop.round.state == State.SAMPLE


def test_labels_of_the_week_are_counted_by_day(loop):
    loop.open()
    loop.label()
    found = activity.week(figures.count(loop.project, None))
    assert (found["rankings"], found["demonstrations"]) == (0, 4)
    assert [bar["demonstrations"]["value"] for bar in found["bars"]] == [0, 0, 0, 0, 0, 0, 4]


def test_figures_are_counted_once_for_all_who_look_until_the_round_goes_on(loop):
    loop.open()
    before = figures.recent(loop.project, loop.round)
    assert (before.waiting["demonstration"], before.demonstrations) == (4, 0)
    loop.label()
    assert figures.recent(loop.project, loop.round) == before
    loop.until(State.SFT)
    assert figures.recent(loop.project, loop.round).demonstrations == 4


def test_figures_are_forgotten_when_they_are_old(loop, monkeypatch):
    monkeypatch.setattr(figures, "KEPT_SECONDS", 0)
    assert figures.recent(loop.project, None).days[-1][2] == 0
    loop.open()
    loop.label()
    assert figures.recent(loop.project, None).days[-1][2] == 4


def test_a_line_fills_its_box_and_stays_short():
    assert activity.line([0.0, 1.0]) == "M0.0 62.0L400.0 2.0"
    assert activity.line([3.0]) == "M0.0 62.0L400.0 62.0"
    assert activity.line([float(n) for n in range(5000)]).count("L") < 210


def test_the_quality_page_shows_agreement(admin, loop):
    loop.open(plan={"overlap": 2, "sample_prompts": 3})
    loop.until(State.COMPARISONS)
    loop.label()
    said = page(admin, "quality", loop)
    assert "18 pairs on 3 prompts" in said
    assert "Round 1" in said
    for labeler in loop.labelers:
        assert labeler.user.name in said


def test_the_quality_page_of_an_empty_project(admin, loop):
    assert "No judgement yet" in page(admin, "quality", loop)
