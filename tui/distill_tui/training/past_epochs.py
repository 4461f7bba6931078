"""The epochs that a run has behind it, read from its folder. Runs on worker threads."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import msgspec

from distill_core.runs import RecordedRun, RunFolder
from distill_core.training.events import EpochFinished, RunStarted, TrainEvent


def past_epochs(run: RunFolder) -> Iterator[EpochFinished]:
    """Yield the epochs in a run's metrics; a line whose figures are no numbers is passed over.

    Raises:
        RunError: The metrics cannot be read.
    """
    for line in run.read_metrics().lines:
        if line.get("event") == "epoch":
            with contextlib.suppress(msgspec.ValidationError):
                yield msgspec.convert(line, EpochFinished)


def with_past(run: RecordedRun) -> Generator[TrainEvent]:
    """Yield the events of a training; of a resumed one, after the first, also the epochs before.

    By then the metrics are cut back to the checkpoint, from which training repeats what came after.
    """
    with contextlib.closing(iter(run)) as events:
        for event in events:
            yield event
            if isinstance(event, RunStarted):
                yield from past_epochs(run.folder)
