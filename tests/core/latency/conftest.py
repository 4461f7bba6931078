from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from distill_core.students import MlpStudent, ProjectionTransformer
from distill_core.teacher import MultiHeadLDA
from tests.core.latency.planted_models import LDA_US, STUDENT_US, Models, plant
from tests.core.latency.planted_times import PlantedClock


@pytest.fixture
def models(clock: PlantedClock) -> Models:
    """A teacher and a student that does not fold."""
    rng = np.random.default_rng(0)
    teacher = MultiHeadLDA(3 * rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), 0.1)
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    return Models(teacher, MlpStudent(8, 1, 12), queries, clock)


@pytest.fixture
def folding(models: Models) -> Models:
    """The same teacher, and the published encoder, which folds."""
    return replace(models, student=ProjectionTransformer(8, 2, 1, 12))


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    """The student takes three times as long, and a batch no longer than one query."""
    lda, student = clock.call_taking(LDA_US), clock.call_taking(STUDENT_US)
    plant(monkeypatch, lambda queries: lda(), lambda queries: student())


@pytest.fixture
def clock() -> PlantedClock:
    return PlantedClock()
