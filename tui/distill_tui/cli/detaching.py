"""A run in a process of its own, which goes on when this one ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

from distill_core.errors import RunError
from distill_core.runs import RunFolder

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.1


def detach(folder: RunFolder, wait: Callable[[float], None] = time.sleep) -> int:
    """Train a run in a new process without a terminal, and return its number once it is training.

    What it prints goes to the run's log.

    Raises:
        RunError: It did not start; the log says why.
    """
    try:
        with folder.log_path.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "distill_tui", "resume", str(folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise RunError(
            f"No process could be started for {folder.name}: {error.strerror or error}.",
            "What is saved stays; 'distill-tui resume' goes on with it.",
        ) from error
    waited = 0.0
    while waited < _START_SECONDS:
        has_left = process.poll() is not None
        state = folder.read_state()
        if state.state == "failed" and state.pid == process.pid:
            raise RunError(f"{folder.name} did not start: {state.error}", f"See {folder.log_path}.")
        if state.state == "finished" or (state.state == "running" and state.pid == process.pid):
            return process.pid
        if has_left:
            break
        wait(_LOOK_SECONDS)
        waited += _LOOK_SECONDS
    raise RunError(f"{folder.name} did not start in a process of its own.", f"See {folder.log_path}.")
