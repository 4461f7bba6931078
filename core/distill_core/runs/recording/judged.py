"""A run that is judged before its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from distill_core.runs.folder import RunFolder
from distill_core.runs.recording.recorded_run import RecordedRun
from distill_core.training.events import BaselineFitted, RunNoted, RunStarted, TrainEvent


def judge_as_it_is(folder: RunFolder) -> Iterator[TrainEvent]:
    """Judge what a run that nobody trains has learnt by its last checkpoint, and keep that in its folder.

    It stays stopped, and can be gone on with.

    Raises:
        RunError: It is finished, or is being trained.
    """
    run = RecordedRun(folder)
    with closing(iter(run)) as events:
        for event in events:
            if not isinstance(event, RunStarted | RunNoted | BaselineFitted):
                break  # the ladder is fitted, and a student is judged beside it
            yield event
    if not folder.is_finished:
        yield from run.conclude()
