"""Latency, contestants and crossover on a real accelerator; skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from distill_core.latency import (
    ContestantsComparison,
    ContestantsFinished,
    ContestantsSettings,
    CrossoverFinished,
    CrossoverSettings,
    LatencyFinished,
    LatencySettings,
    compare_latency,
    find_crossover,
)
from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA

PRESENT: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
}


@pytest.fixture(params=sorted(PRESENT))
def device(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if not PRESENT[name]():
        pytest.skip(f"needs a device of the kind {name}")
    return name


@pytest.fixture
def teacher() -> MultiHeadLDA:
    rng = np.random.default_rng(0)
    return MultiHeadLDA(rng.normal(size=(20, 8)), rng.normal(size=(20, 8)), 0.1)


@pytest.fixture
def queries() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)


def test_lda_and_student_are_compared_there(device: str, teacher: MultiHeadLDA, queries: np.ndarray) -> None:
    student = ProjectionTransformer(8, 2, 1, 12)
    *_, last = compare_latency(teacher, student, queries, LatencySettings(device=device, blocks=2))
    assert isinstance(last, LatencyFinished)
    assert last.device.startswith(device)
    assert last.single_ratio > 0
    assert next(student.parameters()).device.type == "cpu", "it comes back"


def test_the_contestants_run_there(device: str, teacher: MultiHeadLDA, queries: np.ndarray) -> None:
    student = ProjectionTransformer(8, 2, 1, 12)
    *_, last = ContestantsComparison(teacher, student, queries, ContestantsSettings(device=device, blocks=2))
    assert isinstance(last, ContestantsFinished)
    assert f"LDA, torch on {device}" in last.reference
    graphs = [row for row in last.rows if "CUDA graph" in row.name and row.single_us is not None]
    assert len(graphs) == (2 if device == "cuda" else 0)


def test_the_crossover_is_searched_there(device: str, teacher: MultiHeadLDA, queries: np.ndarray) -> None:
    student = ProjectionTransformer(8, 2, 1, 12)
    settings = CrossoverSettings(device=device, max_heads=64, budget_seconds=20.0)
    *_, last = find_crossover(teacher, student, queries, settings)
    assert isinstance(last, CrossoverFinished)
    assert {"single", "batch_32"} <= set(last.fixed)
