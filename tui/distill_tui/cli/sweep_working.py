"""Working at a sweep without a terminal: in this process, or by a crew of processes that outlive it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from distill_core.errors import DistillError, SweepError, TrainingError
from distill_core.sweeps.storage import StoragePlace
from distill_tui.cli.output import say, say_object
from distill_tui.cli.run_loop import StopRequest
from distill_tui.cli.sweep_lines import sweep_lines, trial_line
from distill_tui.sweeps.crew import Crew

if TYPE_CHECKING:
    from distill_core.sweeps.events import SweepShown, TrialEnded
    from distill_core.sweeps.ledger import SweepLedger

PATIENCE_SECONDS = 600.0
"""A worker waits so long for a server that is away."""

_HUNG_UP = 129
_LOOK_SECONDS = 0.5


def open_ledger(
    place: StoragePlace, name: str, *, patience_seconds: float = 0.0, stop: StopRequest | None = None
) -> SweepLedger:
    """Open the ledger of a sweep; nobody waits for a server any more once a signal asks to stop."""
    from distill_core.sweeps.ledger import SweepLedger

    is_leaving = (lambda: False) if stop is None else (lambda: stop.exit_code is not None)
    return SweepLedger(place, name, patience_seconds=patience_seconds, is_leaving=is_leaving)


def read_sweep(ledger: SweepLedger, *, compared: bool = False) -> SweepShown:
    """Return a sweep as it stands."""
    from distill_core.sweeps.results import shown_sweep

    return shown_sweep(ledger, compared=compared)


class WorkerPlace(NamedTuple):
    """Where a worker works.

    Attributes:
        root: Folder of the runs.
        device: To train on, in place of the plan's; may be empty.
        database: Where the database is on this machine; empty for where the plan says.
    """

    root: Path
    device: str = ""
    database: str = ""


def work_at(ledger: SweepLedger, place: WorkerPlace, stop: StopRequest, *, as_json: bool) -> None:
    """Work in this process until nothing is left or a signal asks to stop, and write each trial that ends."""
    from distill_core.sweeps.events import TrialEnded
    from distill_core.sweeps.worker import SweepWorker

    worker = SweepWorker(ledger, place.root, device=place.device, database=place.database)
    stop.last_words = worker.abandon
    with contextlib.closing(iter(worker)) as events:
        for event in events:
            if isinstance(event, TrialEnded):
                write_trial(event, as_json=as_json)
            if stop.exit_code is not None:
                return


def work_off_queue(place: StoragePlace, where: WorkerPlace, stop: StopRequest, *, as_json: bool) -> int:
    """Work at the sweeps of this machine's queue in turn; one that cannot be worked at holds up no other."""
    from distill_core.sweeps.queue import Queue, turn

    failed: dict[str, DistillError] = {}
    with turn(where.root) as is_mine:
        queue = Queue(place, where.root)
        while is_mine and stop.exit_code is None:
            found = next((ledger for ledger in queue.waiting() if ledger.plan.name not in failed), None)
            if found is None:
                break
            name = found.plan.name
            ledger = open_ledger(place, name, patience_seconds=PATIENCE_SECONDS, stop=stop)
            try:
                work_at(ledger, where, stop, as_json=as_json)
            except DistillError as error:
                failed[name] = error
                say(f"{name}: {error}", err=True)
    if failed and stop.exit_code is None:
        raise next(iter(failed.values()))
    return stop.exit_code or 0


def watch_crew(
    place: StoragePlace, name: str, root: Path, stop: StopRequest, *, workers: int, as_json: bool
) -> int:
    """Have processes of their own work, and write each trial as it ends; they outlive a line that drops."""
    ledger = open_ledger(place, name, patience_seconds=PATIENCE_SECONDS, stop=stop)
    followed = _Followed(ledger, as_json=as_json)
    crew = Crew(place, name, root)
    for _ in range(workers):
        crew.start()
    while crew.tend() and stop.exit_code is None:
        time.sleep(_LOOK_SECONDS)
        followed.write()
    if stop.exit_code is not None and stop.exit_code != _HUNG_UP:
        crew.stop(stop.exit_code - 128)
    code = _finish(followed, stop, as_json=as_json)
    if stop.exit_code is None and followed.is_open:
        raise SweepError(
            f"The workers of {name} have ended before it.", f"{crew.last_words()} See {crew.logs}.".strip()
        )
    return code


class _Followed:
    """Writes the trials of a sweep that have ended since, whoever worked at them."""

    def __init__(self, ledger: SweepLedger, *, as_json: bool) -> None:
        self._ledger, self._as_json = ledger, as_json
        self._told: set[int] = set()

    def write(self) -> None:
        from distill_core.sweeps.results import trial_ended

        for trial in self._ledger.current().values():
            if not trial.is_open and trial.number not in self._told:
                self._told.add(trial.number)
                write_trial(trial_ended(trial, self._ledger.plan), as_json=self._as_json)

    @property
    def is_open(self) -> bool:
        """Whether something is left to run."""
        return any(trial.is_open for trial in self._ledger.current().values())

    def shown(self) -> SweepShown:
        """Return the sweep as it stands."""
        self.write()
        return read_sweep(self._ledger, compared=True)


def _finish(followed: _Followed, stop: StopRequest, *, as_json: bool) -> int:
    from distill_core.sweeps.events import SweepFinished

    shown = followed.shown()
    with contextlib.suppress(*([OSError] if stop.exit_code else [])):
        if as_json:
            say_object(SweepFinished(**msgspec.structs.asdict(shown)))
        else:
            for line in sweep_lines(shown):
                say(line)
        if stop.exit_code is not None:
            say(f"Saved; go on with 'distill-tui sweep work {shown.name}'.", err=True)
    failed = sum(cell.state == "failed" for cell in shown.cells)
    if stop.exit_code is None and failed:
        raise TrainingError(f"{failed} of {len(shown.cells)} cells of {shown.name} failed.", "See above why.")
    return stop.exit_code or 0


def write_trial(event: TrialEnded, *, as_json: bool) -> None:
    """Print a trial that is over."""
    if as_json:
        say_object(event)
    else:
        say(trial_line(event))
