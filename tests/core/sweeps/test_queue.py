from __future__ import annotations

import fcntl
from pathlib import Path

import msgspec
import pytest

from distill_core.runs import RunFolder
from distill_core.sweeps.events import WorkerWaits
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.queue import Queue, has_to_wait, queue_of, turn
from distill_core.sweeps.storage import storage_place
from distill_core.sweeps.worker import SweepWorker
from tests.core.sweeps.conftest import small_plan


def queued(plan: SweepPlan, root: Path, **others: object) -> SweepPlan:
    return msgspec.structs.replace(plan, queue=queue_of(root), **others)


def test_a_queue_holds_the_sweeps_of_its_machine_and_folder_in_order(small_db: Path, tmp_path: Path) -> None:
    place = storage_place(None, tmp_path)
    for name in ("b", "a"):
        SweepLedger.create(place, queued(small_plan(small_db, name), tmp_path))
    SweepLedger.create(place, small_plan(small_db, "by-name"))
    SweepLedger.create(place, queued(small_plan(small_db, "elsewhere"), tmp_path / "other"))
    queue = Queue(place, tmp_path)
    assert [ledger.plan.name for ledger in queue.waiting()] == ["b", "a"]
    SweepLedger(place, "b").stop()
    assert [ledger.plan.name for ledger in queue.waiting()] == ["a"]
    SweepLedger(place, "b").stop(stopped=False)
    ledger = SweepLedger(place, "a")
    for trial in ledger.current().values():
        ledger.drop(trial)
    assert [ledger.plan.name for ledger in queue.waiting()] == ["b"]


def test_one_works_one_waits_and_a_third_is_not_needed(tmp_path: Path) -> None:
    with turn(tmp_path) as first, turn(tmp_path / "other") as other:
        assert (first, other) == (True, True)
    with turn(tmp_path) as again:
        assert again, "who had the turn has left it"
    with (tmp_path / ".sweeps" / "queue.next").open("ab") as waiting:
        fcntl.flock(waiting, fcntl.LOCK_EX)
        with turn(tmp_path) as third:
            assert not third


@pytest.mark.parametrize("is_trained", [True, False])
def test_a_sweep_begins_after_the_run_that_it_waits_for(
    small_db: Path, tmp_path: Path, is_trained: bool
) -> None:
    plan = small_plan(small_db, "later")
    run = RunFolder.create(tmp_path, plan.cells[0].run_config(0))
    with run.lock():
        run.mark("running")
        plan = msgspec.structs.replace(plan, after=str(run.path))
        assert has_to_wait(plan)
        if not is_trained:
            run.mark("stopped")
        worker = iter(SweepWorker(SweepLedger.create(storage_place(None, tmp_path), plan), tmp_path))
        assert isinstance(next(worker), WorkerWaits) is is_trained
        worker.close()
    assert not has_to_wait(msgspec.structs.replace(plan, after=str(tmp_path / "gone")))
