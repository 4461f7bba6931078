"""From the engine's events to the snapshots that the screens watch. Pure, on the UI thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from distill_core.latency.crossover import (
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
)
from distill_core.latency.events import (
    BlockTimed,
    ContestantsEvent,
    ContestantsFinished,
    ContestantsStarted,
    LatencyEvent,
    LatencyFinished,
    LatencyStarted,
    RoundTimed,
)
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
from distill_tui.state import ContestantsView, CrossoverView, LatencyView, TrainingView

METRICS = ("loss", "mse", "cosine")
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
                TRAIN, [event.epoch for event in trained], [getattr(event.train, metric) for event in trained]
            )
            validated = [event for event in points if isinstance(event, EpochFinished) and event.validation]
            history.extend(
                VALIDATION,
                [event.epoch for event in validated],
                [getattr(event.validation, metric) for event in validated],
            )

    def _is_shown(self, event: EpochFinished | StepsFinished) -> bool:
        if isinstance(event, StepsFinished) and event.epoch > 0:
            self._long_epochs = event.active_seconds / event.epoch > _LONG_EPOCH_SECONDS
        return isinstance(event, StepsFinished) == self._long_epochs


def fold_training(view: TrainingView, events: Iterable[TrainEvent]) -> TrainingView:
    """Return the view after some more events."""
    for event in events:
        match event:
            case RunStarted():
                view = replace(view, started=event)
            case StepsFinished():
                view = replace(view, progress=event)
            case EpochFinished():
                view = replace(view, progress=event, epoch=event)
            case BaselineFitted():
                view = replace(view, baselines=(*view.baselines, event))
            case Assessed():
                view = replace(view, assessment=event.assessment)
            case TestEvaluated():
                view = replace(view, tested=event)
            case RunFinished():
                view = replace(view, finished=event)
    return view


def fold_latency(view: LatencyView, events: Iterable[LatencyEvent]) -> LatencyView:
    """Return the view after some more events."""
    for event in events:
        match event:
            case LatencyStarted():
                view = replace(view, started=event)
            case BlockTimed():
                view = replace(view, block=event)
            case LatencyFinished():
                view = replace(view, finished=event)
    return view


def fold_contestants(view: ContestantsView, events: Iterable[ContestantsEvent]) -> ContestantsView:
    """Return the view after some more events."""
    for event in events:
        match event:
            case ContestantsStarted():
                view = replace(view, started=event)
            case RoundTimed():
                view = replace(view, round=event)
            case ContestantsFinished():
                view = replace(view, finished=event)
    return view


def fold_crossover(view: CrossoverView, events: Iterable[CrossoverEvent]) -> CrossoverView:
    """Return the view after some more events."""
    for event in events:
        match event:
            case CrossoverStarted():
                view = replace(view, started=event)
            case CrossoverPoint():
                view = replace(view, point=event)
            case CrossoverFinished():
                view = replace(view, finished=event)
    return view
