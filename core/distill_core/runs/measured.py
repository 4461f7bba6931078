"""Measurements of a student: which one it is, and the one place where a result in a run replaces another."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import msgspec

from distill_core.errors import DistillError, RunError
from distill_core.latency.measurement import Measurement, samples_bytes
from distill_core.runs.folder import RunFolder
from distill_core.students.spec import StudentConfig

if TYPE_CHECKING:
    from distill_core.students import Student

Event = TypeVar("Event")
Result = TypeVar("Result", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class StudentToTime:
    """The student that a measurement is about.

    Attributes:
        source: A student in memory, the file of one, or the settings of an untrained one, which is as fast.
        run: The run that it is of, which receives the results; None if it is of none.
    """

    source: Student | Path | StudentConfig
    run: RunFolder | None = None

    @classmethod
    def of_run(cls, run: RunFolder, student: Student | None = None) -> Self:
        """Return that of a run: the one in memory, else its best weights."""
        return cls(run.best_checkpoint if student is None else student, run)

    @property
    def is_trained(self) -> bool:
        """Whether it has learnt something."""
        return not isinstance(self.source, StudentConfig)

    @property
    def is_there(self) -> bool:
        """Whether there is a student, or a file of one."""
        return not isinstance(self.source, Path) or self.source.is_file()

    def load(self, dimension: int, num_heads: int) -> Student:
        """Return the student for a teacher of N heads of a dimension.

        Raises:
            RunError: The run has no trained student yet.
            CheckpointError: The weights are damaged or of another dimension.
        """
        from distill_core.students import load_student, new_student

        if isinstance(self.source, StudentConfig):
            return new_student(self.source, dimension, num_heads)
        if not isinstance(self.source, Path):
            return self.source
        if self.run is not None and not self.is_there:
            raise RunError(
                f"{self.run.name} has no trained student yet.", "Go on with it, or choose another run."
            )
        return load_student(self.source, dimension=dimension, reference_layout=self.run is None)


def keep(run: RunFolder, measurement: Measurement[object, Result], *, with_samples: bool = True) -> bool:
    """Keep what is measured so far in a run, unless what it has is better; return whether it is kept.

    Args:
        run: Receives the result, in a file of the measurement's name.
        measurement: Tells whether its result is the better one. A damaged file is replaced.
        with_samples: Whether the raw samples are written, too.

    Raises:
        RunError: It cannot be written.
    """
    result, kept = measurement.result(), None
    with contextlib.suppress(DistillError):
        kept = run.read_result(measurement.name, measurement.result_type)
    if result is None or not measurement.is_better_than(kept):
        return False
    samples = measurement.samples() if with_samples else {}
    run.write_result(measurement.name, result, samples_bytes(samples) if samples else b"")
    return True


class RecordedMeasurement(Generic[Event, Result]):
    """A measurement whose result is kept in a run, however it ends; iterate it like the measurement.

    Args:
        measurement: What is measured.
        run: Receives the result; None to keep none.

    Attributes:
        is_kept: Whether the run has this result; None before the end, and where there is nothing to keep.
        is_told: Whether the result was among the events.
    """

    def __init__(self, measurement: Measurement[Event, Result], run: RunFolder | None) -> None:
        self.measurement = measurement
        self.run = run
        self.is_kept: bool | None = None
        self._is_over = self.is_told = False

    def __iter__(self) -> Iterator[Event | Result]:
        """Yield the events; a failure comes after the result of what was measured before it."""
        try:
            for event in self.measurement:
                if isinstance(event, self.measurement.result_type):
                    self._keep()
                    self.is_told = True
                elif isinstance(event, self.measurement.milestones) and self.run is not None:
                    with contextlib.suppress(DistillError):  # what cannot be written is told at the end
                        keep(self.run, self.measurement, with_samples=False)
                yield event
        except DistillError:
            yield from self.conclude()
            raise
        finally:
            self._keep()

    def conclude(self) -> Iterator[Event | Result]:
        """Yield the result of what was measured before a stop; nothing if nothing was, or if it was told."""
        if self.is_told:
            return
        try:
            self._keep()
        finally:
            result = self.measurement.result()
            if result is not None:
                self.is_told = True
                yield result

    def _keep(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self.run is not None and self.measurement.result() is not None:
            self.is_kept = keep(self.run, self.measurement)
