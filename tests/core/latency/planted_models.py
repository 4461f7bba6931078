"""A teacher and a student whose calls take planted times."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.latency import (
    LatencyComparison,
    LatencyEvent,
    LatencyFinished,
    LatencySettings,
)
from distill_core.latency.timing import comparison
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA
from tests.core.latency.planted_times import PlantedClock

Floats = NDArray[np.float32]
Project = Callable[[Any], object]

LDA_US, STUDENT_US = 400, 1_200
"""Planted times of one call: 20 and 6 calls fill a block of 8 ms."""


@dataclass(frozen=True)
class Models:
    """Two models and the queries that they are timed with."""

    teacher: MultiHeadLDA
    student: Student
    queries: Floats
    clock: Callable[[], int]

    def compare(self, *, device: str = "cpu", blocks: int = 2, **settings: int) -> Iterator[LatencyEvent]:
        return iter(self.comparison(device=device, blocks=blocks, **settings))

    def comparison(self, *, device: str = "cpu", blocks: int = 2, **settings: int) -> LatencyComparison:
        chosen = LatencySettings(device=device, blocks=blocks, **settings)
        return LatencyComparison(self.teacher, self.student, self.queries, chosen, clock=self.clock)


def drifting(clock: PlantedClock, factors: Sequence[float]) -> Callable[[], None]:
    """A call of a millisecond that takes longer by a factor of its own in every block.

    A millisecond gives blocks of 8. Warm-up is one call and three blocks for each batch size, and each round
    has two calls to settle and a block of both.
    """
    rounds = [1_000 * factor for factor in factors for _ in range(2 * (2 + 8))]
    return clock.call_taking(*[1_000] * (2 * (1 + 3 * 8)), *rounds)


def plant(monkeypatch: pytest.MonkeyPatch, lda: Project, student: Project) -> None:
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lda)
    monkeypatch.setattr(comparison, "runner_call", lambda model, device: (student, "tensors"))


def finished(events: Iterator[LatencyEvent]) -> LatencyFinished:
    *_, last = events
    assert isinstance(last, LatencyFinished)
    return last
