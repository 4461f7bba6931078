"""`distill-tui attach`: see a run of another process live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from distill_core.errors import TrainingError
from distill_core.runs import RunFolder, RunWatcher
from distill_core.training.events import TrainEvent
from distill_tui.cli.event_lines import write_json, write_lines
from distill_tui.cli.options import json_option
from distill_tui.cli.output import say
from distill_tui.cli.run_options import run_argument, run_store, runs_dir_option

_LOOK_SECONDS = 0.5
_ENDS = {
    "stopped": "was stopped; 'distill-tui resume {name}' goes on",
    "interrupted": "lost its process; 'distill-tui resume {name}' goes on from its last checkpoint",
}


@click.command()
@run_argument
@runs_dir_option
@json_option
def attach(run: str, runs_dir: Path | None, *, as_json: bool) -> int:
    """Show RUN as it is written, wherever it is trained, until it ends.

    Ctrl+C leaves the run alone and ends only the watching.
    """
    folder = run_store(runs_dir).find(run)
    write = write_json if as_json else write_lines
    try:
        for event in watch(folder):
            write(event)
    except KeyboardInterrupt:
        say(f"{folder.name} goes on.", err=True)
        return 0
    state = folder.shown_state()
    if state in _ENDS:
        say(f"{folder.name} {_ENDS[state].format(name=folder.name)}.", err=True)
    if state == "failed":
        raise TrainingError(f"{folder.name} failed: {folder.read_state().error}")
    return 0


def watch(folder: RunFolder, wait: Callable[[float], None] = time.sleep) -> Iterator[TrainEvent]:
    """Yield what a run's process writes until the run has ended.

    Args:
        folder: The run.
        wait: Waits some seconds between two looks.
    """
    watcher = RunWatcher(folder)
    while True:
        seen = watcher.look()
        yield from seen.events
        if seen.state != "running":
            return
        wait(_LOOK_SECONDS)
