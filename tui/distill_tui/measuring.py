"""What screen 5 measures, as iterators of engine events for a job's thread. No Textual.

What belongs to a run is kept in its folder, also where the measurement is stopped, fails or the app is left;
a result that was cut short never replaces a more complete one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_core.latency import (
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverSettings,
    CrossoverStarted,
    FieldComparison,
    FieldEvent,
    FieldFinished,
    FieldSettings,
    LatencyComparison,
    LatencyEvent,
    LatencyFinished,
    LatencySettings,
    find_crossover,
    samples_bytes,
    summarised,
)
from distill_core.latency.measurement import Samples
from distill_tui.crossover_limits import CrossoverLimits
from distill_tui.student_to_time import StudentToTime
from distill_tui.teacher.desk import TeacherView

Record = TypeVar("Record")
Event = TypeVar("Event")
Finished = TypeVar("Finished", bound=LatencyFinished | FieldFinished)
EventOut = TypeVar("EventOut", covariant=True)
FinishedOut = TypeVar("FinishedOut", bound=LatencyFinished | FieldFinished, covariant=True)


class _InRounds(Protocol[EventOut, FinishedOut]):
    """What the engine compares in rounds."""

    def __iter__(self) -> Iterator[EventOut]: ...

    def result(self) -> FinishedOut | None: ...

    def samples(self) -> Samples: ...


class _Place(NamedTuple, Generic[Finished]):
    """Where a run's folder has a result."""

    read: Callable[[], Finished | None]
    write: Callable[[Finished], None]
    write_samples: Callable[[bytes], None]


class Comparison(Generic[Event, Finished]):
    """A comparison whose rounds survive a stop, a failure and the end of the app."""

    def __init__(self, measured: _InRounds[Event, Finished], place: _Place[Finished] | None) -> None:
        self._measured = measured
        self._place = place

    def __iter__(self) -> Iterator[Event]:
        finished = False
        try:
            for event in self._measured:
                if isinstance(event, LatencyFinished | FieldFinished):
                    finished = True
                    self._keep(cast(Finished, event))
                yield event
        except DistillError:
            yield from self.conclude()
            raise
        finally:
            result = None if finished else self._measured.result()
            if result is not None:
                self._keep(result)

    def conclude(self) -> Iterator[Event]:
        """Give what was measured before a stop; nothing if nothing was."""
        result = self._measured.result()
        if result is not None:
            yield cast(Event, result)

    def _keep(self, result: Finished) -> None:
        if self._place is None:
            return
        kept = _readable(self._place.read)
        if kept is None or kept.ended != "complete" or result.ended == "complete":
            self._place.write(result)
            self._place.write_samples(samples_bytes(self._measured.samples()))


class Latency(Comparison[LatencyEvent, LatencyFinished]):
    """One comparison of two.

    Args:
        view: The teacher.
        config: Gives the device and the threads, and the student where none is trained.
        timed: The student.
    """

    def __init__(self, view: TeacherView, config: RunConfig, timed: StudentToTime) -> None:
        settings = LatencySettings(device=config.training.device, threads=config.training.threads)
        folder = timed.folder()
        place = (
            None
            if folder is None
            else _Place(folder.read_latency, folder.write_latency, partial(folder.write_samples, "latency"))
        )
        student = timed.load(view, config)
        super().__init__(LatencyComparison(view.teacher, student, view.queries, settings), place)


class Contestants(Comparison[FieldEvent, FieldFinished]):
    """One comparison of everyone.

    Args:
        view: The teacher.
        config: Gives the device and the threads, and the student where none is trained.
        timed: The student.
    """

    def __init__(self, view: TeacherView, config: RunConfig, timed: StudentToTime) -> None:
        settings = FieldSettings(device=config.training.device, threads=config.training.threads)
        folder = timed.folder()
        place = (
            None
            if folder is None
            else _Place(
                folder.read_contestants,
                folder.write_contestants,
                partial(folder.write_samples, "contestants"),
            )
        )
        student = timed.load(view, config)
        super().__init__(FieldComparison(view.teacher, student, view.queries, settings), place)


class Crossover:
    """One search for the crossover, whose points survive a stop, a failure and the end of the app.

    Args:
        view: The teacher that grows.
        config: Gives the device and the threads, and the student where none is trained.
        timed: The student of fixed size.
        limits: How long, and how far.
    """

    def __init__(
        self, view: TeacherView, config: RunConfig, timed: StudentToTime, limits: CrossoverLimits
    ) -> None:
        settings = CrossoverSettings(
            device=config.training.device,
            threads=config.training.threads,
            budget_seconds=limits.budget_seconds,
            max_heads=limits.max_heads,
        )
        self._folder = timed.folder()
        self._kept = None if self._folder is None else _readable(self._folder.read_crossover)
        self._samples: Samples = {}
        student = timed.load(view, config)
        self._events = find_crossover(view.teacher, student, view.queries, settings, samples=self._samples)
        self._is_kept = False
        self._points: list[CrossoverPoint] = []
        self._started: CrossoverStarted | None = None

    def __iter__(self) -> Iterator[CrossoverEvent]:
        try:
            for event in self._events:
                match event:
                    case CrossoverStarted():
                        self._started = event
                    case CrossoverPoint():
                        self._points.append(event)
                        self._keep_so_far()
                    case CrossoverFinished():
                        self._keep(event)
                        self._keep_samples()
                yield event
        except DistillError:
            yield from self.conclude()
            raise
        finally:
            self._events.close()

    def conclude(self) -> Iterator[CrossoverFinished]:
        """Sum up what was measured before a stop; nothing if nothing was."""
        if self._points:
            result = self._summary()
            self._keep(result)
            self._keep_samples()
            yield result

    def _summary(self) -> CrossoverFinished:
        started = self._started
        if started is None:
            return summarised(self._points, ended="interrupted")
        return summarised(
            self._points,
            ended="interrupted",
            machine=started.machine,
            batch_sizes=started.batch_sizes,
            max_heads=started.max_heads,
        )

    def _keep_so_far(self) -> None:
        """Write after every point, for the process may be ended in the next; no block is timed just now."""
        with contextlib.suppress(DistillError):  # what cannot be written is told at the end
            self._keep(self._summary())

    def _keep_samples(self) -> None:
        """Write the raw samples, at the end only, if the result that they are of was kept."""
        if self._folder is not None and self._samples and self._is_kept:
            self._folder.write_samples("crossover", samples_bytes(self._samples))

    def _keep(self, result: CrossoverFinished) -> None:
        if self._folder is not None and _is_worth_more(result, self._kept):
            self._folder.write_crossover(result)
            self._kept, self._is_kept = result, True


def _is_worth_more(new: CrossoverFinished, kept: CrossoverFinished | None) -> bool:
    """Whether a search replaces what is kept: one that ended by itself does, another with more points."""
    return kept is None or new.ended != "interrupted" or len(new.curve) > len(kept.curve)


def _readable(read: Callable[[], Record | None]) -> Record | None:
    """Return what is kept, or None where it is damaged."""
    with contextlib.suppress(DistillError):
        return read()
    return None
