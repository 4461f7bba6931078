"""A run of any process seen live, from its folder alone. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from distill_core.runs.folder import RunFolder
from distill_core.runs.records import ShownState
from distill_core.training.events import (
    BaselineFitted,
    EpochFinished,
    RunFinished,
    RunStarted,
    TrainEvent,
)

_Recorded = RunStarted | BaselineFitted | EpochFinished | RunFinished


class Seen(NamedTuple):
    """What a look at a run's folder told.

    Attributes:
        events: New since the last look, in order.
        state: The run's, by now.
        restarted: Whether `events` begin at the beginning again, because the run was resumed.
        error: Why it failed.
    """

    events: tuple[TrainEvent, ...]
    state: ShownState
    restarted: bool
    error: str


class RunWatcher:
    """Looks at a run without disturbing it; any number may, on any machine that sees the folder."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._metrics = folder.follow_metrics()

    def look(self) -> Seen:
        """Return what is new; once the run has ended also how it was judged.

        Raises:
            RunError: The folder cannot be read, or is gone.
        """
        # The state first: whatever it says was written by then.
        state = self.folder.read_state()
        shown = self.folder.shown(state)
        chunk = self._metrics.poll()
        events = [event for line in chunk.lines if (event := _decoded(line)) is not None]
        return Seen(tuple(self._with_judgement(events)), shown, chunk.restarted, state.error)

    def _with_judgement(self, events: list[TrainEvent]) -> Iterator[TrainEvent]:
        for event in events:
            record = self.folder.read_evaluation() if isinstance(event, RunFinished) else None
            if record and record.tested and record.assessed:
                yield record.tested
                yield record.assessed
            yield event


def _decoded(line: dict[str, object]) -> TrainEvent | None:
    try:
        event: TrainEvent = msgspec.convert(line, _Recorded)
    except msgspec.ValidationError:  # a newer version's, or one whose figures were no numbers
        return None
    return event
