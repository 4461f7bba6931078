"""Who has which trial, on each kind of storage; times are counted by the tests, not by a clock."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from distill_core.errors import SweepError
from distill_core.sweeps.heartbeats import MAX_LOST, Lookout
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.storage import StoragePlace, storage_place
from distill_core.sweeps.studies import sweep_names
from distill_core.sweeps.trials import TrialResult, WorkerRecord

HERE = WorkerRecord.here()
ELSEWHERE = WorkerRecord(host="other", pid=1, process_start="boot:1:1")
RESULT = TrialResult(cosine=0.9, size_bytes=1000, parameters=250)
GRACE = 60.0


class Seconds:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watch(lookout: Lookout, clock: Seconds, seconds: float) -> None:
    """Look at the workers every 5 s of a time."""
    end = clock.now + seconds
    while clock.now < end:
        clock.now += 5
        lookout.look()


def test_each_trial_is_claimed_once_by_however_many(place: StoragePlace, plan: SweepPlan) -> None:
    first, second = SweepLedger.create(place, plan), SweepLedger(place, plan.name)
    claims = [ledger.claim(HERE) for ledger in (first, second, first, second, first)]
    assert claims[-1] is None
    taken = [(claim.trial.cell, claim.trial.seed) for claim in claims if claim]
    assert taken == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_result_is_what_others_read(place: StoragePlace, plan: SweepPlan) -> None:
    ledger = SweepLedger.create(place, plan)
    claim = ledger.claim(HERE)
    assert claim is not None
    assert claim.note_run("/runs/a", 3)
    assert claim.finish(RESULT)
    trial = SweepLedger(place, plan.name).current()[0, 0]
    assert (trial.state, trial.run, trial.attempt, trial.result) == ("finished", "/runs/a", 3, RESULT)
    assert trial.worker == HERE


def test_a_trial_without_a_sign_of_life_is_followed_and_its_worker_is_fenced_off(
    place: StoragePlace, plan: SweepPlan
) -> None:
    asleep, awake, clock = SweepLedger.create(place, plan), SweepLedger(place, plan.name), Seconds()
    claim = asleep.claim(ELSEWHERE)
    assert claim is not None
    claim.note_run("/runs/a", 1)
    lookout = Lookout(awake, clock)
    watch(lookout, clock, GRACE)
    assert awake.current()[0, 0].state == "running"
    watch(lookout, clock, 10)
    follower = awake.current()[0, 0]
    assert (follower.state, follower.run) == ("waiting", "/runs/a")
    assert not claim.beat()
    assert not claim.finish(RESULT)
    taken = [found for found in (awake.claim(HERE) for _ in range(4)) if found]
    again = next(found for found in taken if found.trial.number == follower.number)
    assert again.finish(RESULT)
    complete = [trial for trial in awake.trials() if trial.state == "finished"]
    assert [(trial.cell, trial.seed) for trial in complete] == [(0, 0)]


def test_a_worker_that_shows_itself_keeps_its_trial(place: StoragePlace, plan: SweepPlan) -> None:
    ledger, clock = SweepLedger.create(place, plan), Seconds()
    lookout = Lookout(ledger, clock)
    claim = ledger.claim(ELSEWHERE)
    assert claim is not None
    for _ in range(4):
        watch(lookout, clock, GRACE - 10)
        assert claim.beat()
    assert ledger.current()[0, 0].number == claim.trial.number


def test_a_watcher_that_was_itself_suspended_begins_anew(place: StoragePlace, plan: SweepPlan) -> None:
    ledger, clock = SweepLedger.create(place, plan), Seconds()
    lookout = Lookout(ledger, clock)
    ledger.claim(ELSEWHERE)
    watch(lookout, clock, 10)
    clock.now += 10 * GRACE
    lookout.look()
    assert ledger.current()[0, 0].state == "running"


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(
    place: StoragePlace, plan: SweepPlan
) -> None:
    ledger = SweepLedger.create(place, plan)
    gone = msgspec.structs.replace(HERE, process_start=f"{HERE.process_start}0")
    ledger.claim(gone)
    Lookout(ledger, Seconds()).look()
    assert ledger.current()[0, 0].state == "waiting"


def test_a_trial_is_given_back(place: StoragePlace, plan: SweepPlan) -> None:
    ledger = SweepLedger.create(place, plan)
    claim = ledger.claim(HERE)
    assert claim is not None
    claim.give_back()
    assert ledger.current()[0, 0].state == "waiting"
    assert not claim.beat()


def test_followers_that_were_added_twice_run_once(place: StoragePlace, plan: SweepPlan) -> None:
    ledger = SweepLedger.create(place, plan)
    claim = ledger.claim(HERE)
    assert claim is not None
    ledger.settle(claim.trial.number, "lost", "lost")
    for _ in range(2):  # by two workers that saw the loss at once
        ledger.add(0, 0, run="/runs/a")
    numbers = []
    while found := ledger.claim(HERE):
        numbers.append((found.trial.cell, found.trial.seed))
        found.finish(RESULT)
    assert sorted(numbers) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_loss_whose_follower_was_never_added_is_repaired(place: StoragePlace, plan: SweepPlan) -> None:
    ledger = SweepLedger.create(place, plan)
    claim = ledger.claim(HERE)
    assert claim is not None
    ledger.settle(claim.trial.number, "lost", "lost")  # and then its watcher was killed
    assert {(t.cell, t.seed): t.state for t in ledger.repaired()}[0, 0] == "waiting"


def test_what_kills_every_worker_is_given_up(plan: SweepPlan, tmp_path: Path) -> None:
    ledger, clock = SweepLedger.create(storage_place(None, tmp_path), plan), Seconds()
    lookout = Lookout(ledger, clock)
    gone = msgspec.structs.replace(HERE, process_start=f"{HERE.process_start}0")
    for _ in range(3):
        ledger.claim(HERE)
    for _ in range(MAX_LOST):
        assert ledger.claim(gone) is not None
        lookout.look()
    assert ledger.claim(gone) is None
    failed = ledger.current()[1, 1]
    assert (failed.state, failed.why) == ("failed", f"its worker died {MAX_LOST} times")
    ledger.retry(failed)
    assert ledger.current()[1, 1].state == "waiting"


def test_failed_and_dropped_trials_stay_so(place: StoragePlace, plan: SweepPlan) -> None:
    ledger = SweepLedger.create(place, plan)
    claim = ledger.claim(HERE)
    assert claim is not None
    assert claim.fail("The loss is lost.")
    assert ledger.drop(ledger.current()[0, 1])
    states = {key: trial.state for key, trial in SweepLedger(place, plan.name).current().items()}
    assert states == {(0, 0): "failed", (0, 1): "dropped", (1, 0): "waiting", (1, 1): "waiting"}
    assert {(t.cell, t.seed): t.state for t in ledger.repaired()} == states


def test_a_sweep_is_stopped_and_goes_on(place: StoragePlace, plan: SweepPlan) -> None:
    ledger, other = SweepLedger.create(place, plan), SweepLedger(place, plan.name)
    ledger.stop()
    assert other.is_stopped
    other.stop(stopped=False)
    assert not ledger.is_stopped


def test_the_plan_comes_back_as_it_was(place: StoragePlace, plan: SweepPlan) -> None:
    SweepLedger.create(place, plan)
    assert SweepLedger(place, plan.name).plan == plan
    assert plan.name in sweep_names(place)


def test_a_name_is_taken_once(place: StoragePlace, plan: SweepPlan) -> None:
    SweepLedger.create(place, plan)
    with pytest.raises(SweepError, match="already"):
        SweepLedger.create(place, plan)


def test_a_sweep_that_is_not_there(tmp_path: Path) -> None:
    place = storage_place(None, tmp_path)
    with pytest.raises(SweepError, match="no sweep 'x'"):
        SweepLedger(place, "x")
    assert sweep_names(place) == ()
    assert not (tmp_path / "sweeps.db").exists()
