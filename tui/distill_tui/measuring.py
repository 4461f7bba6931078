"""What screen 5 measures, as iterators of engine events for a job's thread. No Textual."""

from __future__ import annotations

from collections.abc import Iterator

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
    LatencyEvent,
    LatencySettings,
    MachineRecord,
    compare_latency,
    find_crossover,
    summarised,
)
from distill_core.runs import RunFolder
from distill_core.students import Student, new_student
from distill_tui.state import TeacherView


def latency_events(view: TeacherView, config: RunConfig, student: Student | None) -> Iterator[LatencyEvent]:
    """Compare a student, or an untrained one of the settings, with the LDA."""
    settings = LatencySettings(device=config.training.device, threads=config.training.threads)
    return compare_latency(view.teacher, student or _untrained(view, config), view.queries, settings)


class Crossover:
    """One search for the crossover, whose points survive a stop and a failure.

    Args:
        view: The teacher that grows.
        config: Gives the device and the threads, and the student where none is trained.
        student: The trained one, or None.
        folder: Of the run whose student it is; receives the result.
    """

    def __init__(
        self, view: TeacherView, config: RunConfig, student: Student | None, folder: RunFolder | None
    ) -> None:
        settings = CrossoverSettings(device=config.training.device, threads=config.training.threads)
        self._events = find_crossover(
            view.teacher, student or _untrained(view, config), view.queries, settings
        )
        self._folder = folder
        self._points: list[CrossoverPoint] = []
        self._machine: MachineRecord | None = None

    def __iter__(self) -> Iterator[CrossoverEvent]:
        result = None
        try:
            for event in self._events:
                match event:
                    case CrossoverStarted():
                        self._machine = event.machine
                    case CrossoverPoint():
                        self._points.append(event)
                    case CrossoverFinished():
                        result = event
                yield event
        except DistillError:
            yield from self.conclude()
            raise
        finally:
            self._events.close()
        if result is not None:
            self._keep(result)

    def conclude(self) -> Iterator[CrossoverFinished]:
        """Sum up what was measured before a stop; nothing if nothing was."""
        if self._points:
            result = summarised(self._points, ended="interrupted", machine=self._machine)
            yield result
            self._keep(result)

    def _keep(self, result: CrossoverFinished) -> None:
        if self._folder is not None:
            self._folder.write_crossover(result)


class Contestants:
    """One comparison of everyone, whose rounds survive a stop and a failure.

    Args:
        view: The teacher.
        config: Gives the device and the threads, and the student where none is trained.
        student: The trained one, or None.
    """

    def __init__(self, view: TeacherView, config: RunConfig, student: Student | None) -> None:
        settings = FieldSettings(device=config.training.device, threads=config.training.threads)
        self._field = FieldComparison(
            view.teacher, student or _untrained(view, config), view.queries, settings
        )

    def __iter__(self) -> Iterator[FieldEvent]:
        try:
            yield from self._field
        except DistillError:
            yield from self.conclude()
            raise

    def conclude(self) -> Iterator[FieldFinished]:
        """Give the rows of what was measured before a stop; nothing if nothing was."""
        result = self._field.result()
        if result is not None:
            yield result


def _untrained(view: TeacherView, config: RunConfig) -> Student:
    return new_student(config.student, view.teacher.dimension, view.teacher.num_heads)
