"""Looks at the folder of a run until the run has ended, or until nobody watches. No Textual."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill_core.runs import RunWatcher, Seen

LOOK_SECONDS = 0.4


class Watching:
    """One watching of one run; the run itself never knows.

    `leave` may be called from any thread; the rest belongs to the worker.

    Args:
        path: The run's folder.
        is_held: Whether to look at nothing for now, because something is timed.
    """

    def __init__(self, path: str, is_held: Callable[[], bool] = lambda: False) -> None:
        self.path = path
        self._is_held = is_held
        self._left = threading.Event()
        self._watcher: RunWatcher | None = None
        self._told = ""

    def leave(self) -> None:
        """Look no more."""
        self._left.set()

    def run(self, tell: Callable[[Seen], object]) -> None:
        """Look every 0.4 s, and tell what is new.

        Raises:
            RunError: The folder cannot be read, or is gone.
        """
        while not self._left.is_set() and (self._is_held() or self.look(tell)):
            self._left.wait(LOOK_SECONDS)

    def look(self, tell: Callable[[Seen], object]) -> bool:
        """Tell what is new since the last look; return whether the run goes on.

        Raises:
            RunError: The folder cannot be read, or is gone.
        """
        if self._watcher is None:
            from distill_core.runs import RunFolder, RunWatcher

            self._watcher = RunWatcher(RunFolder.open(self.path))
        seen = self._watcher.look()
        if seen.events or seen.restarted or seen.state != self._told:
            self._told = seen.state
            tell(seen)
        return seen.state == "running"
