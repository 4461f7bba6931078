"""The queue of a machine: sweeps that one process works off in turn, whatever becomes of the app."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.liveness import this_host
from distill_core.sweeps.ledger import SweepLedger
from distill_core.sweeps.plan import SweepPlan
from distill_core.sweeps.storage import StoragePlace
from distill_core.sweeps.studies import sweep_names


def queue_of(root: Path) -> str:
    """Return the name of the queue of this machine for a folder of runs."""
    return f"{this_host()}:{root.absolute()}"


class Queue:
    """Reads again and again what waits in a queue.

    Args:
        place: Where the ledger lies, which may be shared with other machines.
        root: Folder of the runs.
    """

    def __init__(self, place: StoragePlace, root: Path) -> None:
        self._place, self._name = place, queue_of(root)
        self._ledgers: dict[str, SweepLedger] = {}
        self._others: set[str] = set()

    def waiting(self) -> Iterator[SweepLedger]:
        """Yield the sweeps of the queue that have something left and are not stopped, the oldest first."""
        for name in sweep_names(self._place):
            if name in self._others:
                continue
            if name not in self._ledgers:
                self._ledgers[name] = SweepLedger(self._place, name)
            ledger = self._ledgers[name]
            if ledger.plan.queue != self._name:
                self._others.add(name)
            elif not ledger.is_stopped and any(t.is_open for t in ledger.current().values()):
                yield ledger


def has_to_wait(plan: SweepPlan) -> bool:
    """Return whether the run after which a sweep begins still goes on, as far as this machine can tell."""
    return bool(plan.after) and is_run(plan.after) and RunFolder(plan.after).shown_state() == "running"


@contextmanager
def turn(root: Path) -> Iterator[bool]:
    """Wait for one's turn at the queue of a folder of runs: one process works at it, and one more may wait.

    Yields:
        False, at once, where another process waits: it will find all that is in the queue by now.
    """
    folder = root / ".sweeps"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "queue.lock").open("ab") as present, (folder / "queue.next").open("ab") as waiting:
        try:
            fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(present, fcntl.LOCK_EX)
            fcntl.flock(waiting, fcntl.LOCK_UN)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks; each trial is claimed once all the same
        yield True
