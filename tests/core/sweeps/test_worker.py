"""Workers in this process; `test_survival` has those that are killed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from distill_core.errors import DeviceError, TrainingError
from distill_core.runs import RunFolder, liveness
from distill_core.runs.recording import recorded_run
from distill_core.sweeps.events import TrialEnded, TrialStarted, WorkerWaits
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.results import shown_sweep
from distill_core.sweeps.storage import storage_place
from distill_core.sweeps.trials import WorkerRecord
from distill_core.sweeps.worker import SweepWorker
from distill_core.training.events import EpochFinished
from distill_core.training.loop import trainer


@pytest.fixture
def ledger(plan: SweepPlan, tmp_path: Path) -> SweepLedger:
    return SweepLedger.create(storage_place(None, tmp_path), plan)


def ended(worker: SweepWorker) -> list[TrialEnded]:
    return [event for event in worker if isinstance(event, TrialEnded)]


def epochs(folder: Path) -> list[int]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["epoch"] for line in lines if line["event"] == "epoch"]


def test_a_worker_trains_all_and_the_ledger_says_what_the_runs_say(
    ledger: SweepLedger, tmp_path: Path
) -> None:
    told = ended(SweepWorker(ledger, tmp_path))
    assert [(event.cell, event.seed, event.state) for event in told] == [
        (0, 0, "finished"),
        (0, 1, "finished"),
        (1, 0, "finished"),
        (1, 1, "finished"),
    ]
    shown = shown_sweep(ledger, compared=True)
    assert (shown.state, shown.done, shown.trials) == ("finished", 4, 4)
    for cell in shown.cells:
        records = [RunFolder(tmp_path / name).read_evaluation() for name in cell.runs]
        cosines = [record.finished.evaluation.cosine.mean for record in records if record]
        assert cell.cosine is not None
        assert cell.cosine.mean == pytest.approx(sum(cosines) / 2)
        assert (cell.cosine.low, cell.cosine.high) == (min(cosines), max(cosines))
        tested = [record.tested.question_ids for record in records if record and record.tested]
        assert tested[0] == tested[1]
    assert shown.best is not None
    others = [cell for cell in shown.cells if cell.number != shown.best.number]
    assert [cell.behind_best is not None for cell in others] == [True]
    assert {tag for name in shown.best.runs for tag in RunFolder(tmp_path / name).read_notes().tags} == {
        ledger.plan.name
    }


def test_a_worker_that_is_closed_saves_and_gives_its_trial_back(ledger: SweepLedger, tmp_path: Path) -> None:
    events = iter(SweepWorker(ledger, tmp_path))
    started = next(events)
    assert isinstance(started, TrialStarted)
    for event in events:
        if isinstance(event, EpochFinished) and event.epoch == 2:
            break
    events.close()
    folder = RunFolder(tmp_path / started.run)
    assert folder.read_state().state == "stopped"
    assert folder.last_checkpoint.is_file()
    assert ledger.current()[0, 0].state == "waiting"
    ended(SweepWorker(ledger, tmp_path))
    assert epochs(folder.path) == [1, 2, 3]
    assert len(folder.attempts()) == 2


def test_a_stopped_sweep_is_left(ledger: SweepLedger, tmp_path: Path) -> None:
    ledger.stop()
    assert list(SweepWorker(ledger, tmp_path)) == []


def test_a_run_that_its_dead_worker_had_finished_is_only_entered(ledger: SweepLedger, tmp_path: Path) -> None:
    first = ended(SweepWorker(ledger, tmp_path))[0]
    again = SweepLedger.create(storage_place(str(tmp_path / "other.db"), tmp_path), ledger.plan)
    told = ended(SweepWorker(again, tmp_path))
    assert [event.cosine for event in told if (event.cell, event.seed) == (0, 0)] == [first.cosine]
    assert len(RunFolder(tmp_path / first.run).attempts()) == 1


def test_a_loss_that_is_lost_fails_its_cell_alone(
    ledger: SweepLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, begun = trainer.Trainer.__iter__, []

    def fail_at_first(training: trainer.Trainer) -> Iterator[object]:
        begun.append(training)
        if len(begun) == 1:
            raise TrainingError("The loss is lost.")
        yield from train(training)

    monkeypatch.setattr(trainer.Trainer, "__iter__", fail_at_first)
    told = ended(SweepWorker(ledger, tmp_path))
    assert [event.state for event in told] == ["failed", "finished", "finished", "finished"]
    assert "The loss is lost." in told[0].why
    assert ledger.claim(WorkerRecord.here()) is None
    assert [cell.state for cell in shown_sweep(ledger).cells] == ["failed", "finished"]


def test_what_no_trial_would_survive_here_ends_the_worker_and_keeps_the_trial(
    ledger: SweepLedger, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError):
        list(SweepWorker(ledger, tmp_path, device="mps"))
    assert ledger.current()[0, 0].state == "waiting"


def test_a_run_that_a_living_process_has_is_waited_for(
    ledger: SweepLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = ledger.claim(WorkerRecord.here())
    assert claim is not None
    name = ledger.plan.run_name(0, 0)
    config = ledger.plan.cells[0].run_config(0)
    monkeypatch.setattr(liveness, "moves", lambda run, wait: True)
    with RunFolder.create(tmp_path, config, name=name).lock() as held:
        claim.give_back()
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                held.release()

        events = list(SweepWorker(ledger, tmp_path, wait=wait))
    assert len([event for event in events if isinstance(event, WorkerWaits)]) == 2
    assert all(trial.state == "finished" for trial in ledger.current().values())


def test_a_worker_whose_trial_was_taken_stops_at_the_next_step(
    ledger: SweepLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of one that was suspended past the grace time: here its pulse is told what it would find."""
    monkeypatch.setattr(recorded_run, "CHECKPOINT_SECONDS", 0.0)
    worker = SweepWorker(ledger, tmp_path)
    told: list[TrialEnded] = []
    events = iter(worker)
    for event in events:
        if isinstance(event, EpochFinished) and event.epoch == 1 and not told:
            ledger.give_back(ledger.current()[0, 0], "lost")
            lose(events)
        if isinstance(event, TrialEnded):
            told.append(event)
    assert [event.state for event in told[:1]] == ["lost"]
    assert all(trial.state == "finished" for trial in ledger.current().values())
    assert len([trial for trial in ledger.trials() if trial.state == "finished"]) == 4
    for cell, seed in ledger.current():
        assert epochs(tmp_path / ledger.plan.run_name(cell, seed)) == [1, 2, 3]


def lose(events: object) -> None:
    frame: Callable[..., object] | None = getattr(events, "gi_frame", None)
    pulse = frame.f_locals["pulse"]  # type: ignore[union-attr]
    pulse._lost.add(pulse.trial)


def test_a_trial_is_given_back_in_the_middle_of_a_step_by_another_thread(
    ledger: SweepLedger, tmp_path: Path
) -> None:
    worker = SweepWorker(ledger, tmp_path)
    events = iter(worker)
    worker.abandon()
    assert isinstance(next(events), TrialStarted)
    other = threading.Thread(target=worker.abandon)
    other.start()
    other.join()
    states = [(trial.number, trial.state) for trial in ledger.trials() if (trial.cell, trial.seed) == (0, 0)]
    assert states == [(0, "lost"), (4, "waiting")]
    worker.abandon()
    events.close()
    assert len(ledger.trials()) == 5, "given back once"
