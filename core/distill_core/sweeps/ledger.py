"""The ledger of a sweep in Optuna's storage: who has which trial, how far each is, and who lost one.

A trial of Optuna is one going at a cell and a seed. It is claimed once, under the storage's lock, and never
runs again: what is lost or given back is followed by another trial of the same cell and seed. Of those that
did not fail the first one counts, so that a follower that was added twice is never run twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec

from distill_core.runs.liveness import Wait
from distill_core.sweeps.axes import Value
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.storage import StoragePlace, UnreachableError, guarded, open_storage
from distill_core.sweeps.studies import add_trial, enter, no_sweep, plan_of
from distill_core.sweeps.trials import DOUBLE, Trial, TrialResult, TrialState, WorkerRecord, current, trial_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

Choose = Callable[[str, Sequence[Value]], Value]
"""Chooses one of the values of a parameter, by its name."""

_LEAVING_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 5.0

T = TypeVar("T")


class Claim:
    """A trial that is this process's until it is settled, or lost to another.

    Attributes:
        trial: As it was claimed.
        is_settled: Whether it has ended, or was given back.
        why: Why it ended early, in words.
    """

    def __init__(self, ledger: SweepLedger, trial: Trial) -> None:
        self._ledger = ledger
        self.trial = trial
        self.is_settled = False
        self.why = ""

    def beat(self) -> bool:
        """Show that this process is there; return whether the trial is still its own."""
        return self._ledger.write(self.trial.number, beat=time.time())

    def note_run(self, path: str, attempt: int) -> bool:
        """Record the run's folder and the number of the attempt; return as `beat`."""
        return self._ledger.write(self.trial.number, begun={"run": path, "attempt": attempt})

    def finish(self, result: TrialResult) -> bool:
        """Record a result; return whether it counts, which it does not where the trial was lost meanwhile."""
        self.is_settled = True
        return self._ledger.settle(self.trial.number, "finished", result=result)

    def end_early(self, why: str) -> None:
        """Record that it is not worth going on with."""
        self.is_settled, self.why = True, why
        self._ledger.settle(self.trial.number, "ended early", why)

    def fail(self, why: str) -> bool:
        """Record a failure of the settings themselves; return as `finish`."""
        self.is_settled = True
        return self._ledger.settle(self.trial.number, "failed", why)

    def give_back(self) -> None:
        """Let others have the trial, as far as that is possible within a second."""
        self.is_settled = True
        self._ledger.give_back(self.trial)


class SweepLedger:
    """The trials of one sweep. Any number of processes may work on it; each object belongs to one thread.

    Args:
        place: Where the ledger lies.
        name: Of the sweep.
        patience_seconds: How long a storage that cannot be reached is waited for.
        wait: Waits some seconds.
        is_leaving: Whether waiting is over, because the process is asked to end.

    Attributes:
        plan: The sweep as it was asked for.

    Raises:
        SweepError: There is no such sweep, or the storage cannot be reached for too long.
    """

    def __init__(
        self,
        place: StoragePlace,
        name: str,
        *,
        patience_seconds: float = 0.0,
        wait: Wait = time.sleep,
        is_leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self.place = place
        self._patience_seconds, self._wait, self._is_leaving = patience_seconds, wait, is_leaving
        self._ids: dict[int, int] = {}
        self._storage: BaseStorage
        self._study: Study
        self.plan: SweepPlan = self._patiently(lambda: self._open(name))

    @classmethod
    def create(cls, place: StoragePlace, plan: SweepPlan) -> SweepLedger:
        """Enter a new sweep with all its trials.

        Raises:
            SweepError: There is a sweep of this name, or the storage cannot be reached.
        """
        storage = guarded(lambda: open_storage(place), place)
        guarded(lambda: enter(storage, plan), place)
        return cls(place, plan.name)

    def _open(self, name: str) -> SweepPlan:
        import optuna

        if not self.place.is_there:
            raise no_sweep(name, self.place)
        self._storage = open_storage(self.place)
        try:
            sampler = optuna.samplers.TPESampler(constant_liar=True)  # others' trials count while they run
            self._study = optuna.load_study(study_name=name, storage=self._storage, sampler=sampler)
        except KeyError as error:
            raise no_sweep(name, self.place) from error
        self._study_id = self._storage.get_study_id_from_name(name)
        return plan_of(self._study.user_attrs, name)

    # Reading.

    @property
    def is_stopped(self) -> bool:
        """Whether its workers are asked to leave."""
        return bool(self._patiently(lambda: self._study.user_attrs.get("stopped", False)))

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials by number, those that were lost and followed by another included."""
        return tuple(map(trial_of, self._patiently(self._all)))

    def current(self) -> dict[tuple[int, int], Trial]:
        """Return the trial that counts of each cell and seed."""
        return current(self.trials())

    def stop(self, *, stopped: bool = True) -> None:
        """Ask the workers to give their trials back and leave, or no longer."""
        self._patiently(lambda: self._study.set_user_attr("stopped", stopped))

    # Working.

    def claim(self, worker: WorkerRecord) -> Claim | None:
        """Claim the first waiting trial; None if there is none for now."""
        for trial in self.repaired():
            if trial.state == "waiting" and self._patiently(partial(self._take, trial.number)):
                self.write(trial.number, claimed={"worker": msgspec.to_builtins(worker), "beat": time.time()})
                return Claim(self, msgspec.structs.replace(trial, state="running", worker=worker))
        return None

    def repaired(self) -> tuple[Trial, ...]:
        """Follow up what was lost, and return the trial that counts of each cell and seed.

        A process that was killed between the end of a trial and its follower leaves a gap, two that see it
        at once may add a follower each: then the first counts, and the others are taken out.
        """
        trials = self.trials()
        counting = current(trials)
        for trial in counting.values():
            if trial.state == "lost":
                self._follow(trial)
        for trial in trials:
            if trial.state == "waiting" and counting[trial.cell, trial.seed] is not trial:
                self.settle(trial.number, "lost", DOUBLE)
        if any(trial.state == "lost" for trial in counting.values()):
            counting = self.current()
        return tuple(counting.values())

    def choose(self, trial: Trial, choices: Callable[[Choose], dict[str, Value]]) -> dict[str, Value]:
        """Let the sampler choose the settings of a running trial, or repeat what an earlier one had chosen.

        Args:
            trial: Claimed by this process.
            choices: Asks for one choice after the other, by name, and returns the settings.
        """
        from optuna import Trial as Asked

        def ask() -> dict[str, Value]:
            asked = Asked(self._study, self._id(trial.number))
            settings = choices(lambda name, values: asked.suggest_categorical(name, values))
            for name, value in (("settings", settings), ("chosen", asked.params)):
                asked.set_user_attr(name, value)
            return settings

        return self._patiently(ask)

    def add(self, cell: int, seed: int, **attributes: object) -> None:
        """Add a trial that waits."""
        self._patiently(lambda: add_trial(self._study, self.plan, cell, seed, attributes))

    def drop(self, trial: Trial) -> bool:
        """Take a waiting trial out; return whether it was."""
        return trial.state == "waiting" and self.settle(trial.number, "dropped", "dropped")

    def retry(self, trial: Trial) -> None:
        """Let a cell and seed that failed, or was dropped, wait again."""
        if trial.state in ("failed", "dropped"):
            self._follow(trial)

    def give_back(self, trial: Trial, why: str = "given back") -> None:
        """End a trial and let another follow, unless it was ended already."""
        if self.settle(trial.number, "lost", why):
            self._follow(self._trial(trial.number))  # with what was recorded since it was claimed

    def write(self, number: int, **values: object) -> bool:
        """Record values of a running trial; return whether it still runs."""
        from optuna.exceptions import UpdateFinishedTrialError

        def set_all() -> bool:
            try:
                for name, value in values.items():
                    self._storage.set_trial_user_attr(self._id(number), name, value)
            except UpdateFinishedTrialError:
                return False
            return True

        return self._patiently(set_all)

    def settle(
        self, number: int, state: TrialState, why: str = "", result: TrialResult | None = None
    ) -> bool:
        """End a trial; return whether it ended so, by this call or by one whose answer was lost."""
        end = {"state": state, "why": why, "result": msgspec.to_builtins(result)}
        if not self.write(number, end=end):
            ended = self._trial(number)
            return state == "finished" and ended.state == "finished" and ended.result == result
        return self._patiently(lambda: self._end(number, state, result))

    def _trial(self, number: int) -> Trial:
        return next(trial for trial in self.trials() if trial.number == number)

    def _end(self, number: int, state: TrialState, result: TrialResult | None) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState as States

        ends = {"finished": States.COMPLETE, "ended early": States.PRUNED}
        values = self._values(result) if state == "finished" and result is not None else None
        try:
            self._storage.set_trial_state_values(self._id(number), ends.get(state, States.FAIL), values)
        except UpdateFinishedTrialError:
            ended = next(trial for trial in self._all() if trial.number == number)
            return state == "finished" and ended.state == States.COMPLETE
        return True

    def _values(self, result: TrialResult) -> Sequence[float]:
        error = 1.0 - result.cosine
        size = float(result.size_bytes)
        return (error, result.p90_us or 0.0, size) if self.plan.blocks else (error, size)

    def _take(self, number: int) -> bool:
        from optuna.exceptions import UpdateFinishedTrialError
        from optuna.trial import TrialState as States

        try:
            return self._storage.set_trial_state_values(self._id(number), States.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _follow(self, trial: Trial) -> None:
        self.add(trial.cell, trial.seed, chosen=trial.chosen, run=trial.run, follows=trial.number)

    def _all(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _id(self, number: int) -> int:
        if number not in self._ids:
            self._ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)
        return self._ids[number]

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Ask the storage until it answers, for as long as there is patience."""
        waited, pause = 0.0, 0.1
        while True:
            try:
                return guarded(ask, self.place)
            except UnreachableError:
                longest = _LEAVING_SECONDS if self._is_leaving() else self._patience_seconds
                if waited >= longest:
                    raise
            self._wait(pause)
            waited += pause
            pause = min(2 * pause, _LONGEST_WAIT_SECONDS)
