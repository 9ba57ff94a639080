"""Many people at once, on real connections: nobody gets a task twice, no task is judged too often, nothing is left over."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from labeling.assignments import claim, leases, services
from labeling.assignments.models import Slot, Task
from labeling.core.errors import LoopError
from labeling.demonstrations import services as demonstrations
from labeling.demonstrations.models import Demonstration
from tests.factories import ProjectFactory, contractor_of
from tests.labeling.assignments.conftest import open_tasks

PEOPLE = 16
pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*jobs: Callable[[], object]) -> list[object]:
    """Run every job in a thread with a connection of its own, all starting together; exceptions are raised here."""
    barrier = threading.Barrier(len(jobs))
    backends: set[int] = set()

    def started(job: Callable[[], object]) -> object:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backends.add(cursor.fetchone()[0])
            barrier.wait(30)
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        results = [future.result() for future in [pool.submit(started, job) for job in jobs]]
    assert len(backends) == len(jobs)
    return results


def test_sixteen_people_share_a_queue():
    project = ProjectFactory()
    people = [contractor_of(project) for _ in range(PEOPLE)]
    open_tasks(project, 24, overlap=4)

    def work(labeler) -> int:
        done = 0
        while slot := claim.claim_slot(project=project, labeler=labeler):
            demonstrations.submit_demonstration(
                slot_id=slot.public_id, labeler=labeler, token=slot.lease_token, submission=uuid.uuid4(), text="Done."
            )
            done += 1
        return done

    done = at_once(*[lambda labeler=labeler: work(labeler) for labeler in people])
    # A slot that another claim was holding at the end may be left for a next look.
    done.append(sum(work(labeler) for labeler in people))
    assert sum(done) == 24 * 4 == Demonstration.objects.count()
    assert set(Slot.objects.values_list("state", flat=True)) == {"submitted"}
    assert set(Task.objects.values_list("state", flat=True)) == {"done"}
    pairs = Counter(Demonstration.objects.values_list("task", "labeler"))
    assert max(pairs.values()) == 1
    assert set(Counter(Demonstration.objects.values_list("task", flat=True)).values()) == {4}
    assert not Demonstration.objects.filter(late=True).exists()


def test_sixteen_tabs_of_one_person_hold_one_slot():
    project = ProjectFactory()
    labeler = contractor_of(project)
    open_tasks(project, 40)
    slots = at_once(*[lambda: claim.claim_slot(project=project, labeler=labeler)] * PEOPLE)
    assert len({slot.pk for slot in slots}) == 1
    assert Slot.objects.filter(state="leased").count() == 1


def test_sixteen_equal_submissions_make_one_demonstration():
    project = ProjectFactory()
    labeler = contractor_of(project)
    open_tasks(project, 1)
    slot = claim.claim_slot(project=project, labeler=labeler)
    said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token, "submission": uuid.uuid4()}
    made = at_once(*[lambda: demonstrations.submit_demonstration(**said, text="Once.")] * PEOPLE)
    assert {row.pk for row in made} == {Demonstration.objects.get().pk}


def test_sixteen_people_at_the_last_slot_get_it_once():
    project = ProjectFactory()
    people = [contractor_of(project) for _ in range(PEOPLE)]
    open_tasks(project, 1)
    slots = at_once(*[lambda labeler=labeler: claim.claim_slot(project=project, labeler=labeler) for labeler in people])
    assert sum(slot is not None for slot in slots) == 1


def test_expiry_and_late_typing_never_lose_or_double_a_slot():
    project = ProjectFactory()
    people = [contractor_of(project) for _ in range(8)]
    open_tasks(project, 8)
    held = [(labeler, claim.claim_slot(project=project, labeler=labeler)) for labeler in people]
    Slot.objects.update(lease_expires_at="2020-01-01T00:00:00Z")

    def type_on(labeler, slot) -> object:
        said = {"slot_id": slot.public_id, "labeler": labeler, "token": slot.lease_token}
        try:
            return leases.save_draft(**said, draft={"text": "More"})
        except LoopError as problem:
            return problem

    jobs = [lambda pair=pair: type_on(*pair) for pair in held] + [leases.expire_leases] * 8
    results = at_once(*jobs)
    assert not [result for result in results if isinstance(result, LoopError)]
    live = Slot.objects.filter(state="leased")
    assert live.count() + Slot.objects.filter(state="open").count() == 8
    assert len(set(live.values_list("labeler", flat=True))) == live.count() == 8


def test_a_lease_that_ends_while_its_batch_is_paused_is_not_handed_out_again():
    project = ProjectFactory()
    batch = open_tasks(project, 1)
    claim.claim_slot(project=project, labeler=contractor_of(project))
    Slot.objects.update(lease_expires_at="2020-01-01T00:00:00Z")
    released, asked = threading.Event(), threading.Event()

    def expire() -> None:
        with transaction.atomic():
            leases.expire_leases()
            released.set()
            asked.wait(30)

    def pause() -> int:
        released.wait(30)
        threading.Timer(0.5, asked.set).start()  # by then the pause waits for the slot
        return services.pause_batch(batch, by=None)

    assert at_once(expire, pause) == [None, 1]
    assert (Task.objects.get().state, Slot.objects.get().state) == ("paused", "paused")
