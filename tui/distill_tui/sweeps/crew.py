"""Worker processes of a sweep on this machine: started, replaced when they are killed, and stopped."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from distill_core.errors import SweepError
from distill_core.sweeps.storage import ENVIRONMENT_VARIABLE, StoragePlace

_REPLACEMENTS = 10
"""For each worker: what kills more of them than that kills the next one, too."""

_LEAVING_SECONDS = 1.5


class Crew:
    """Workers in sessions of their own, so that what happens to a terminal does not happen to them.

    Args:
        place: Where the ledger lies.
        name: Of the sweep; empty for the queue of this machine.
        root: Folder of the runs.

    Attributes:
        logs: The folder of what they print.
    """

    def __init__(self, place: StoragePlace, name: str, root: Path) -> None:
        self._name, self._root = name, root
        self._environment = {**os.environ, ENVIRONMENT_VARIABLE: place.url}  # a password stays out of `ps`
        self._processes: list[subprocess.Popen[bytes]] = []
        self._started = self._wanted = 0
        self.logs = root / ".sweeps" / (name or "queue")

    def start(self) -> int:
        """Start one more worker, and return its number as a process.

        Raises:
            SweepError: The system starts none.
        """
        self._wanted += 1
        return self._start()

    def tend(self) -> bool:
        """Replace workers that were killed; return whether one works."""
        for process in [process for process in self._processes if process.poll() is not None]:
            self._processes.remove(process)
            if process.returncode < 0 and self._started < self._wanted * (1 + _REPLACEMENTS):
                self._start()
        return bool(self._processes)

    def last_words(self) -> str:
        """Return the last line that a worker printed; empty where none did."""
        lines: list[str] = []
        for number in range(1, self._started + 1):
            with contextlib.suppress(OSError):
                lines += (self.logs / f"worker-{number}.log").read_text(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def stop(self, number: int) -> None:
        """Send all workers a signal, and wait a little for them to save."""
        for process in self._processes:
            process.send_signal(number)
        for process in self._processes:
            try:
                process.wait(_LEAVING_SECONDS / len(self._processes))
            except subprocess.TimeoutExpired:
                continue  # it saves, and leaves by itself

    def _start(self) -> int:
        command = [sys.executable, "-m", "distill_tui", "sweep", "work", *filter(None, [self._name])]
        command += ["--beside", "--runs-dir", str(self._root)]
        self._started += 1
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with (self.logs / f"worker-{self._started}.log").open("ab") as log:
                process = subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:
            raise SweepError(f"No worker could be started: {error.strerror or error}.") from error
        self._processes.append(process)
        return process.pid
