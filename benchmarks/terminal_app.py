"""The app on a real pseudo-terminal, for the benchmarks that watch it from outside."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pexpect
import psutil

SIZE = (40, 120)
_CONTROLS = rb"(?:\x1b\[[0-9;?]*[A-Za-z])*"
_PROGRESS = re.compile(rb"epoch ([\d.]+) of \d+")


class TerminalApp:
    """`distill-tui DATABASE` at 120x40, driven by keys, read as bytes."""

    def __init__(self, database: Path, state_dir: Path) -> None:
        environment = {
            **os.environ,
            "DISTILL_TUI_STATE": str(state_dir),
            "DISTILL_TUI_RUNS": str(state_dir / "runs"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
        }
        self.started = time.perf_counter()
        self._process = pexpect.spawn(
            sys.executable,
            ["-m", "distill_tui", str(database)],
            dimensions=SIZE,
            env=environment,
            timeout=60,
            echo=False,
        )
        self._process.delaybeforesend = None
        self._process.logfile_read = self
        self.bytes_read = 0

    def write(self, data: bytes) -> None:
        """Count what was read; called by pexpect."""
        self.bytes_read += len(data)

    def flush(self) -> None:
        """Nothing is kept; called by pexpect."""

    @property
    def pid(self) -> int:
        """Of the app's process."""
        return int(self._process.pid)

    def wait_for(self, text: str) -> float:
        """Read until a text arrives, be it drawn in several parts; return the seconds that took."""
        started = time.perf_counter()
        self._process.expect(_CONTROLS.join(re.escape(letter.encode()) for letter in text))
        return time.perf_counter() - started

    def press(self, keys: str) -> None:
        """Send keys as they are."""
        self._process.send(keys)

    def read_for(self, seconds: float) -> bytes:
        """Return everything that arrives within a time."""
        deadline = time.perf_counter() + seconds
        chunks = []
        while (left := deadline - time.perf_counter()) > 0:
            try:
                chunks.append(self._process.read_nonblocking(65536, timeout=left))
            except pexpect.TIMEOUT:
                break
        return b"".join(chunks)

    def epoch(self) -> tuple[float, float]:
        """Return the next progress that is printed: the epoch, and when it was read."""
        self._process.expect(_PROGRESS)
        return float(self._process.match.group(1)), time.perf_counter()

    def thread_seconds(self) -> dict[int, float]:
        """Return the processor seconds of each thread of the app, by thread id."""
        threads = psutil.Process(self.pid).threads()
        return {thread.id: thread.user_time + thread.system_time for thread in threads}

    def close(self) -> None:
        """End the app, whatever it is doing."""
        # close(force=True) alone gives up on a process that is slow to end.
        self._process.kill(signal.SIGKILL)
        self._process.wait()
        self._process.close()
