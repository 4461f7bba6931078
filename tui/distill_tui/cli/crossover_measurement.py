"""One search for the crossover, which has a result as soon as it is begun, before torch is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from distill_core.latency.brackets import summarised
from distill_core.latency.crossover import (
    BATCH_SIZES,
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
)

if TYPE_CHECKING:
    from distill_core.latency import CrossoverSettings, MachineRecord
    from distill_core.latency.measurement import Samples
    from distill_tui.cli.timed_run import ToTime


class CrossoverMeasurement:
    """What the command measures.

    Args:
        load: Returns what is timed; called once events are asked for.
        settings: Of the search, made at the same time.
    """

    def __init__(self, load: Callable[[], ToTime], settings: Callable[[], CrossoverSettings]) -> None:
        self._load, self._settings = load, settings
        self._points: list[CrossoverPoint] = []
        self._samples: Samples = {}
        self._machine: MachineRecord | None = None
        self._max_heads: int | None = None
        self._has_result = False

    def __iter__(self) -> Iterator[CrossoverEvent]:
        try:
            from distill_core.latency import find_crossover

            timed, settings = self._load(), self._settings()
            for event in find_crossover(
                timed.teacher, timed.student, timed.queries, settings, samples=self._samples
            ):
                if isinstance(event, CrossoverStarted):
                    self._machine, self._max_heads, self._has_result = event.machine, event.max_heads, True
                elif isinstance(event, CrossoverPoint):
                    self._points.append(event)
                yield event
        except KeyboardInterrupt:
            self._has_result = True
            raise

    def result(self) -> CrossoverFinished | None:
        """Return the brackets of the points so far; None where the input was refused."""
        if not self._has_result:
            return None
        return summarised(
            self._points,
            ended="interrupted",
            machine=self._machine,
            batch_sizes=BATCH_SIZES,
            max_heads=self._max_heads,
        )

    def samples(self) -> Samples:
        """Return the microseconds of every call so far."""
        return self._samples
