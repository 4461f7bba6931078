"""Runs that are trained by a process without a terminal: how others on its machine ask it to leave."""

from __future__ import annotations

import os
import re
import signal
import time

from distill_core.errors import RunError
from distill_core.runs import liveness
from distill_core.runs.folder import RunFolder
from distill_core.runs.liveness import Wait
from distill_core.runs.records import RunState

_LEAVING_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_OF_SWEEP = re.compile(r"^\d{4}-\d\d-\d\dT\d{6}-(?P<sweep>.+)-c\d{3,}-s\d+$")


def sweep_of(folder: str) -> str:
    """Return the name of the sweep that a run's folder is of, by its own name; empty for none."""
    found = _OF_SWEEP.match(folder)
    return found["sweep"] if found else ""


def ask_to_leave(run: RunFolder, wait: Wait = time.sleep) -> None:
    """Have the process that trains a run save and leave, and wait until it has.

    Raises:
        RunError: Nobody trains it, its process is not this program's to end, or does not leave.
    """
    state = run.read_state()
    _require_detached(run, state)
    try:
        os.kill(state.pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError) as error:
        words = f"Process {state.pid} cannot be asked to leave {run.name}: {error.strerror}."
        raise RunError(words) from error
    waited = 0.0
    while liveness.is_alive(state.pid, state.process_start):
        if waited >= _LEAVING_SECONDS:
            raise RunError(
                f"Process {state.pid} has not left {run.name} yet.", "It leaves after its present step."
            )
        wait(_LOOK_SECONDS)
        waited += _LOOK_SECONDS


def _require_detached(run: RunFolder, state: RunState) -> None:
    """Raise for what is not trained, is trained elsewhere, by a sweep's worker, or in a terminal."""
    if run.shown(state) != "running":
        raise RunError(f"{run.name} is not being trained.", f"It is {run.shown(state)}.")
    if sweep := sweep_of(run.name):
        raise RunError(
            f"{run.name} is trained by a worker of the sweep {sweep}.",
            f"'distill-tui sweep stop {sweep}' has its workers save and leave; so does p on screen 7.",
        )
    if liveness.is_alive(state.pid, state.process_start) is None:
        raise RunError(f"{run.name} is trained by process {state.pid} on {state.host}.", "Stop it there.")
    if state.pid == os.getpid() or _has_terminal(state.pid):
        raise RunError(f"{run.name} is trained in a terminal, by process {state.pid}.", "Stop it there.")


def _has_terminal(pid: int) -> bool:
    import psutil

    try:
        return psutil.Process(pid).terminal() is not None
    except (psutil.Error, AttributeError):  # gone, or not to be asked here
        return False
