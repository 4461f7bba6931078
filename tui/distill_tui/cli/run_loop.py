"""A run from its first event, or from where it was left, to its end, without a terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import closing

from distill_core.runs import RecordedRun
from distill_core.training.events import TrainEvent
from distill_tui.cli.output import say
from distill_tui.cli.stopping import StopRequest

Write = Callable[[TrainEvent], None]


def train_to_end(run: RecordedRun, write: Write) -> int:
    """Pull a run's events and write each; return the exit code.

    A signal, or a reader of the output that has left, ends the run between two steps, with everything saved.

    Raises:
        DistillError: The run cannot be trained, or the loss is lost; what was saved before stays.
    """
    with StopRequest() as stop, closing(iter(run)) as events:
        for event in events:
            try:
                write(event)
            except OSError:  # a closed terminal or pipe
                if stop.exit_code is None:
                    raise
            if stop.exit_code is not None:
                break
    if stop.exit_code is not None:
        with contextlib.suppress(OSError):
            say(f"Saved; go on with 'distill-tui resume {run.folder.name}'.", err=True)
    return stop.exit_code or 0


def run_words(run: RecordedRun) -> str:
    """Say where a run is."""
    return f"run: {run.folder.path}"
