"""The hours of a day: over the project's limit nothing new is handed out, and what is begun may be finished."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from labeling.assignments import claim, limits
from labeling.assignments.models import Slot
from labeling.assignments.selectors import start_of_today
from labeling.core.errors import BadInput, NotAllowed
from labeling.demonstrations import services as demonstrations
from labeling.projects import services
from labeling.projects.models import Project
from tests.factories import UserFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks
from tests.labeling.conftest import signed_in

pytestmark = pytest.mark.django_db


def submit(slot: Slot, labeler, seconds: int) -> None:
    demonstrations.submit_demonstration(
        slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=slot.public_id, text="An answer."
    )
    Slot.objects.filter(pk=slot.pk).update(active_seconds=seconds)


def worked(project, labeler, seconds: int) -> Slot:
    slot = claim.claim_slot(project=project, labeler=labeler)
    submit(slot, labeler, seconds)
    return slot


@pytest.fixture
def limited(project: Project) -> Project:
    open_tasks(project, 4)
    return services.update_project(project=project, by=UserFactory(), daily_hours=2)


def test_the_last_second_of_the_limit_ends_the_day_for_this_person_alone(limited, labeler) -> None:
    worked(limited, labeler, 7199)
    done = worked(limited, labeler, 0)
    Slot.objects.filter(pk=done.pk).update(active_seconds=1)
    with pytest.raises(NotAllowed, match="today's 2 active hours") as problem:
        claim.claim_slot(project=limited, labeler=labeler)
    assert problem.value.extra["code"] == limits.REACHED
    assert Slot.objects.filter(state="open").count() == 2 and not Slot.objects.filter(state="leased").exists()
    assert claim.claim_slot(project=limited, labeler=contractor_of(limited)) is not None


def test_what_was_done_before_midnight_counts_for_the_day_before(limited, labeler) -> None:
    slot = worked(limited, labeler, 7200)
    Slot.objects.filter(pk=slot.pk).update(submitted_at=start_of_today() - timedelta(seconds=1))
    assert claim.claim_slot(project=limited, labeler=labeler) is not None


def test_without_a_limit_nobody_is_stopped(project, labeler) -> None:
    open_tasks(project, 2)
    worked(project, labeler, 86_400)
    assert claim.claim_slot(project=project, labeler=labeler) is not None


def test_what_is_begun_is_given_again_and_may_be_finished(limited, labeler) -> None:
    slot = claim.claim_slot(project=limited, labeler=labeler)
    Slot.objects.filter(pk=slot.pk).update(state="submitted", submitted_at=slot.leased_at, active_seconds=7200)
    other = Slot.objects.filter(state="open").first()
    Slot.objects.filter(pk=other.pk).update(
        state="leased", labeler=labeler, lease_token=slot.lease_token, leased_at=slot.leased_at, lease_expires_at=slot.lease_expires_at
    )  # fmt: skip
    held = claim.claim_slot(project=limited, labeler=labeler)
    assert held.pk == other.pk
    submit(held, labeler, 5)
    held.refresh_from_db()
    assert held.state == "submitted"


def test_the_start_page_says_so_once_and_offers_nothing(limited, labeler) -> None:
    client, queue, after = (
        signed_in(labeler),
        reverse("queue", args=[limited.slug]),
        reverse("next", args=[limited.slug]),
    )
    assert f'action="{after}"' in client.get(queue).content.decode()
    worked(limited, labeler, 7200)
    page = client.post(after, follow=True).content.decode()
    assert page.count("new work comes after midnight UTC") == 1 and f'action="{after}"' not in page


@pytest.mark.parametrize("settings", [{"daily_hours": 0}, {"daily_hours": 25}, {"break_minutes": 481}])
def test_limits_out_of_their_bounds_are_refused(project, settings) -> None:
    with pytest.raises(BadInput) as problem:
        services.update_project(project=project, by=UserFactory(), **settings)
    assert problem.value.field == next(iter(settings))
