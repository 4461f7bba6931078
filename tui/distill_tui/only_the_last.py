"""A queue for one worker thread in which only the last thing that was asked for waits. No Textual."""

from __future__ import annotations

import threading
from collections.abc import Callable


class OnlyTheLast:
    """Keeps a list that is asked for every second, or with every key, from piling up in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: Callable[[], object] | None = None
        self._at_work = False

    def put(self, work: Callable[[], object]) -> bool:
        """Ask for something in place of what waits; True if the caller has to start a thread for `run`."""
        with self._lock:
            self._waiting = work
            starts = not self._at_work
            self._at_work = True
            return starts

    def run(self) -> None:
        """Do what was asked for, and what is asked for meanwhile."""
        while (work := self._take()) is not None:
            work()

    def _take(self) -> Callable[[], object] | None:
        with self._lock:
            work, self._waiting = self._waiting, None
            self._at_work = work is not None
            return work
