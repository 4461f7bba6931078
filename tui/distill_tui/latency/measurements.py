"""What screen 5 measures: engine measurements of the teacher that is open and of the student it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from distill_core.config import RunConfig
from distill_core.latency.measurement import ContestantsSettings, CrossoverSettings, LatencySettings
from distill_tui.teacher.desk import TeacherView

if TYPE_CHECKING:
    from distill_core.runs import RecordedMeasurement, StudentToTime

Build = Callable[[TeacherView, RunConfig, "StudentToTime"], "RecordedMeasurement[Any, Any]"]
"""Makes a measurement of a teacher and a student, in the measuring thread; the settings give the device."""


def latency(view: TeacherView, config: RunConfig, timed: StudentToTime) -> RecordedMeasurement[Any, Any]:
    """Compare LDA and student."""
    from distill_core.latency import LatencyComparison

    return _recorded(LatencyComparison, view, config, timed, LatencySettings())


def contestants(view: TeacherView, config: RunConfig, timed: StudentToTime) -> RecordedMeasurement[Any, Any]:
    """Compare all contestants."""
    from distill_core.latency import ContestantsComparison

    return _recorded(ContestantsComparison, view, config, timed, ContestantsSettings())


def crossover(
    view: TeacherView, config: RunConfig, timed: StudentToTime, settings: CrossoverSettings
) -> RecordedMeasurement[Any, Any]:
    """Search from how many heads on the student is faster."""
    from distill_core.latency import Crossover

    return _recorded(Crossover, view, config, timed, settings)


def _recorded(
    kind: Callable[..., Any],
    view: TeacherView,
    config: RunConfig,
    timed: StudentToTime,
    settings: msgspec.Struct,
) -> RecordedMeasurement[Any, Any]:
    from distill_core.runs import RecordedMeasurement

    training, teacher = config.training, view.teacher
    settings = msgspec.structs.replace(settings, device=training.device, threads=training.threads)
    student = timed.load(teacher.dimension, teacher.num_heads)
    return RecordedMeasurement(kind(teacher, student, view.queries, settings), timed.run)
