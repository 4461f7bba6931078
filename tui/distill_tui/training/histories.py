"""The points of the live charts: those of the present run, and those it told before it was resumed."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from distill_core.training.events import (
    Assessed,
    BaselineFitted,
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    TestEvaluated,
    TrainEvent,
)
from distill_tui.charts.history import MetricHistory, SeriesName
from distill_tui.training.desk import TrainingView

if TYPE_CHECKING:
    from distill_core.runs import RecordedRun, RunFolder

METRICS = ("loss", "mse", "cosine", "error")
"""`error` is 1 - cosine, which shows on a log axis what a cosine near 1 hides."""
TRAIN: SeriesName = "train"
VALIDATION: SeriesName = "validation"

_LONG_EPOCH_SECONDS = 2.0


class Histories:
    """The points of the live charts, one history a metric; x is the epoch."""

    def __init__(self) -> None:
        self.by_metric = {metric: MetricHistory() for metric in METRICS}
        self._long_epochs = False

    def clear(self) -> None:
        """Forget the last run."""
        self._long_epochs = False
        for history in self.by_metric.values():
            history.clear()

    def extend(self, events: Iterable[TrainEvent]) -> None:
        """Add the points of events; inside an epoch only where epochs take long."""
        points = [event for event in events if isinstance(event, EpochFinished | StepsFinished)]
        for metric, history in self.by_metric.items():
            trained = [event for event in points if self._is_shown(event)]
            history.extend(
                TRAIN, [event.epoch for event in trained], [_value(event.train, metric) for event in trained]
            )
            validated = [event for event in points if isinstance(event, EpochFinished) and event.validation]
            history.extend(
                VALIDATION,
                [event.epoch for event in validated],
                [_value(event.validation, metric) for event in validated],
            )

    def _is_shown(self, event: EpochFinished | StepsFinished) -> bool:
        if isinstance(event, StepsFinished) and event.epoch > 0:
            self._long_epochs = event.active_seconds / event.epoch > _LONG_EPOCH_SECONDS
        return isinstance(event, StepsFinished) == self._long_epochs


def _value(told: object, metric: str) -> float:
    """Return a metric of what an epoch has told; of an epoch that was not validated there is none."""
    value: float = getattr(told, "cosine" if metric == "error" else metric)
    return 1 - value if metric == "error" else value


def fold_training(view: TrainingView, events: Iterable[TrainEvent]) -> TrainingView:
    """Return the view after some more events."""
    for event in events:
        match event:
            case RunStarted():
                view = replace(view, started=event)
            case StepsFinished():
                view = replace(view, progress=event)
            case EpochFinished():
                view = replace(view, progress=event, epoch=event, best=_better(view.best, event))
            case BaselineFitted():
                view = replace(view, baselines=(*view.baselines, event))
            case Assessed():
                view = replace(view, assessment=event.assessment)
            case TestEvaluated():
                view = replace(view, tested=event)
            case RunFinished():
                view = replace(view, finished=event)
    return view


def _better(best: EpochFinished | None, event: EpochFinished) -> EpochFinished | None:
    """Return whichever has the better validation cosine; None before the first."""
    if event.validation is None:
        return best
    if best is None or best.validation is None:
        return event
    return event if event.validation.cosine > best.validation.cosine else best


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
