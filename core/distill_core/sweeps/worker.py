"""A worker of a sweep: claims one trial after another, trains its run, and tells the ledger what it is worth.

The folder of a run has the last word: it is found by its name, its checkpoint is resumed, and whoever began
the last attempt at it writes. The ledger says whose turn it is.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_core.errors import (
    BusyError,
    CheckpointError,
    SettingsError,
    TakenOverError,
    TrainingError,
    error_words,
)
from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.liveness import Wait
from distill_core.runs.records import RunNotes
from distill_core.sweeps.events import SweepEvent, TrialEnded, TrialStarted, WorkerWaits
from distill_core.sweeps.heartbeats import Pulse
from distill_core.sweeps.ledger import Claim, SweepLedger
from distill_core.sweeps.plan import Cell
from distill_core.sweeps.queue import has_to_wait
from distill_core.sweeps.scoring import trial_result
from distill_core.sweeps.search import (
    Prospect,
    add_trial,
    chosen_cell,
    is_over_time,
    replace_repeated,
)
from distill_core.sweeps.trials import Trial, TrialResult, TrialState, WorkerRecord
from distill_core.training.events import RunStarted, TrainEvent

if TYPE_CHECKING:
    from distill_core.training import TrainingSession

_IDLE_SECONDS = 1.0

Told = SweepEvent | TrainEvent


class SweepWorker:
    """Works off a sweep, as an iterator of what happens; the events of each training are among it.

    To stop is to close the iterator: the run is saved, and its trial given back. It ends when nothing is left
    to run or to wait for, or when the sweep is stopped.

    Args:
        ledger: Of the sweep; this thread's own.
        root: Folder of the runs.
        device: To train on, in place of the plan's.
        database: Where the database is on this machine; empty for where the plan says.
        wait: Waits some seconds.

    Raises:
        DistillError: Something that no other trial would survive here either: the disk is full, the database
            or the device is missing, the ledger is gone. The trial was given back.
    """

    def __init__(
        self,
        ledger: SweepLedger,
        root: Path,
        *,
        device: str = "",
        database: str = "",
        wait: Wait = time.sleep,
    ) -> None:
        self._ledger, self._root = ledger, root
        self._device, self._database, self._wait = device, database, wait
        self._record = WorkerRecord.here(device)
        self._pulse: Pulse | None = None

    def abandon(self) -> None:
        """Give the present trial back from another thread, in a process that ends in the middle of a step.

        Raises:
            SweepError: The storage does not answer.
        """
        number = None if self._pulse is None else self._pulse.trial
        if number is None:
            return
        ledger = SweepLedger(self._ledger.place, self._ledger.plan.name)
        for trial in ledger.trials():
            if trial.number == number:
                ledger.give_back(trial)

    def __iter__(self) -> Generator[Told]:
        with Pulse(self._ledger) as pulse:
            self._pulse = pulse
            while not pulse.is_stopped:
                if has_to_wait(self._ledger.plan):
                    yield WorkerWaits(running=1)
                    self._wait(_IDLE_SECONDS)
                    continue
                is_late = is_over_time(self._ledger)
                claim = None if is_late else self._ledger.claim(self._record)
                if claim is not None:
                    yield from self._work(claim, pulse)
                    continue
                if not is_late and add_trial(self._ledger):
                    continue
                left = [trial for trial in self._ledger.current().values() if trial.is_open]
                if not left:
                    return
                yield WorkerWaits(running=len(left))
                self._wait(_IDLE_SECONDS)

    def _work(self, claim: Claim, pulse: Pulse) -> Iterator[Told]:
        trial = claim.trial
        pulse.trial = trial.number
        try:
            cell = self._cell(claim)
            if cell is None:
                return
            folder = self._folder(trial, cell)
            told: dict[str, Any] = {"sweep": self._ledger.plan.name, "cell": cell.number, "seed": trial.seed}
            told |= {"settings": cell.settings, "run": folder.name}
            yield TrialStarted(**told)
            state, result, why = yield from self._judged(claim, folder, pulse)
            if state != "waiting":
                yield _ended(told, state, result, why, self._record.host)
        finally:
            pulse.trial = None
            if not claim.is_settled:
                claim.give_back()

    def _cell(self, claim: Claim) -> Cell | None:
        """Return what is to be run; None where a search chose what does not fit, or what it had before."""
        plan, trial = self._ledger.plan, claim.trial
        if plan.search == "grid":
            return plan.cells[trial.cell]
        try:
            return chosen_cell(self._ledger, trial)
        except SettingsError as error:
            claim.end_early(error_words(error))
            replace_repeated(self._ledger)
            return None

    def _judged(
        self, claim: Claim, folder: RunFolder, pulse: Pulse
    ) -> Generator[Told, None, tuple[TrialState, TrialResult | None, str]]:
        """Train and settle; `waiting` where the trial is to be given back."""
        try:
            session = None
            if not folder.is_finished:
                session = yield from self._train(claim, folder, pulse)
            if pulse.has_lost(claim.trial):
                raise TakenOverError(f"{folder.name} has another worker.")
            if not folder.is_finished:
                return ("ended early" if claim.is_settled else "waiting"), None, claim.why
            result = trial_result(folder, session, self._ledger.plan.blocks, self._record.host)
        except TakenOverError as error:
            claim.is_settled = True
            return "lost", None, error.message
        except (TrainingError, SettingsError, CheckpointError) as error:
            claim.fail(error_words(error))
            return "failed", None, error_words(error)
        return ("finished" if claim.finish(result) else "lost"), result, ""

    def _train(
        self, claim: Claim, folder: RunFolder, pulse: Pulse
    ) -> Generator[Told, None, TrainingSession | None]:
        """Train until the end, a stop or a loss; wait while a process that is alive still has the run."""
        from distill_core.runs import RecordedRun

        is_search = self._ledger.plan.search == "frontier"
        prospect = Prospect(self._ledger, folder.read_config()) if is_search else None
        while True:
            run = RecordedRun(folder, take_over=True, database=self._database or None)
            try:
                with closing(iter(run)) as events:
                    for event in events:
                        if isinstance(event, RunStarted):
                            claim.note_run(str(folder.path), len(folder.attempts()))
                        yield event
                        if prospect is not None and (why := prospect.doubt(event)):
                            claim.end_early(why)
                            break
                        if pulse.is_stopped or pulse.has_lost(claim.trial):
                            break
                return run.session
            except BusyError:
                yield WorkerWaits(running=1)
                self._wait(_IDLE_SECONDS)
                if folder.is_finished or pulse.is_stopped or pulse.has_lost(claim.trial):
                    return None

    def _folder(self, trial: Trial, cell: Cell) -> RunFolder:
        """Return the run of a trial: an earlier worker's if it is on this machine, else that of its name."""
        if trial.run and is_run(trial.run):
            return RunFolder(trial.run)
        config = cell.run_config(trial.seed, self._database, self._device)
        name = self._ledger.plan.run_name(cell.number, trial.seed)
        folder = RunFolder.create(self._root, config, name=name)
        if not folder.read_notes().tags:
            folder.write_notes(RunNotes(tags=(self._ledger.plan.name,)))
        return folder


def _ended(
    told: dict[str, Any], state: TrialState, result: TrialResult | None, why: str, host: str
) -> TrialEnded:
    figures: dict[str, Any] = {}
    if result is not None:
        figures = {"cosine": result.cosine, "p90_us": result.p90_us, "parameters": result.parameters}
        figures["seconds"] = result.train_seconds
    return TrialEnded(**told, **figures, state=state, why=why, host=host)
