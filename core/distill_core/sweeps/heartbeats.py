"""Signs of life: a worker shows its own every few seconds, and takes trials from those that show none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from distill_core.errors import SweepError
from distill_core.runs import liveness
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.storage import UnreachableError
from distill_core.sweeps.trials import Trial, WorkerRecord

MAX_LOST = 20
"""A trial whose workers died so often is at fault itself."""

_LOOKS_A_GRACE = 12
"""How often a worker shows that it is there, and looks at the others, in the time after which one is lost."""


class Lookout:
    """Takes trials from workers that are dead, or showed no sign of life for the time of grace.

    Signs are compared, not clocks. A watcher that was itself suspended, or had no storage to look at, begins
    anew.

    Args:
        ledger: Of the sweep.
        seconds: A clock that only goes forward.
    """

    def __init__(self, ledger: SweepLedger, seconds: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._seconds = ledger, seconds
        self._watched: dict[int, tuple[float, float]] = {}
        self._looked = 0.0

    def look(self) -> None:
        """Look at all workers; call it several times in the time of grace."""
        grace, now = self._ledger.plan.grace_seconds, self._seconds()
        running = [trial for trial in self._ledger.trials() if trial.state == "running"]
        if now - self._looked > grace:
            self._watched.clear()
        self._looked = now
        self._watched = {t.number: self._watched[t.number] for t in running if t.number in self._watched}
        for trial in running:
            beat, since = self._watched.setdefault(trial.number, (trial.beat, now))
            if beat != trial.beat:
                self._watched[trial.number] = (trial.beat, now)
            elif now - since > grace or _is_dead(trial.worker):
                self._take_from(trial)

    def _take_from(self, lost: Trial) -> None:
        key = (lost.cell, lost.seed)
        known = self._ledger.trials()
        times = sum((trial.cell, trial.seed) == key and trial.why == "lost" for trial in known)
        if times + 1 >= MAX_LOST:
            self._ledger.settle(lost.number, "failed", f"its worker died {MAX_LOST} times")
        else:
            self._ledger.give_back(lost, "lost")


class Pulse:
    """A thread that shows the ledger every few seconds that this worker is there, and looks at the others.

    Attributes:
        trial: Number of the trial that is worked at.
        is_stopped: Whether the sweep was stopped, or is gone.
    """

    def __init__(self, ledger: SweepLedger) -> None:
        self.trial: int | None = None
        self.is_stopped = ledger.is_stopped
        self._place, self._plan = ledger.place, ledger.plan
        self._lost: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="sweep", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._over.set()

    def has_lost(self, trial: Trial) -> bool:
        """Whether another worker has been given the trial."""
        return trial.number in self._lost

    def _beat(self) -> None:
        ledger: SweepLedger | None = None
        lookout: Lookout | None = None
        while not self._over.wait(self._plan.grace_seconds / _LOOKS_A_GRACE):
            try:
                ledger = ledger or SweepLedger(self._place, self._plan.name)
                lookout = lookout or Lookout(ledger)
                number = self.trial
                if number is not None and not ledger.write(number, beat=time.time()):
                    self._lost.add(number)
                lookout.look()
                self.is_stopped = ledger.is_stopped
            except UnreachableError:
                continue  # who needs an answer waits for it
            except SweepError:
                self.is_stopped = True


def _is_dead(worker: WorkerRecord | None) -> bool:
    return worker is not None and liveness.is_alive(worker.pid, worker.process_start) is False
