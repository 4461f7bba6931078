"""The rivals of students that compute near heads exactly, beside the formulas they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.architecture import lda_cost
from distill_core.evaluation import Baseline, LadderData, ladder
from distill_core.evaluation.merged_teacher import SpreadTeacher, group_heads, merged_by, spread_of
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.teacher import MultiHeadLDA

Matrix = NDArray[np.float32]
HEADS, DIMENSION, TAU = 4_200, 256, 0.1
RNG = np.random.default_rng(5)


def near(centres: Matrix, noise: float) -> Matrix:
    return (centres + noise * RNG.standard_normal(centres.shape)).astype(np.float32)


TOPICS = RNG.standard_normal((60, DIMENSION)).astype(np.float32)
CENTROIDS = near(TOPICS[RNG.integers(60, size=HEADS)], 1.0)
TEACHER = MultiHeadLDA(CENTROIDS, near(CENTROIDS, 1.0), TAU)
TRAIN, VALIDATION, TEST = (near(CENTROIDS[RNG.integers(HEADS, size=n)], 0.7) for n in (900, 150, 200))


@pytest.fixture(scope="module")
def rungs() -> dict[str, Baseline]:
    train, validation = (TRAIN, TEACHER.project(TRAIN)), (VALIDATION, TEACHER.project(VALIDATION))
    return {rung.name: rung for rung in ladder(LadderData(TEACHER, *train, *validation))}


def near_and_far(queries: Matrix, k: int) -> tuple[NDArray[np.float64], ...]:
    """Weights beside that of the best head, which heads are the k best, all in float64."""
    units = CENTROIDS.astype(np.float64) / np.linalg.norm(CENTROIDS, axis=1, keepdims=True)
    scores = queries @ units.T / np.linalg.norm(queries, axis=1, keepdims=True) / TAU
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights, scores >= np.sort(scores, axis=1)[:, [-k]]


def test_a_constant_stands_for_what_the_near_heads_leave(rungs: dict[str, Baseline]) -> None:
    """Its direction is that of the mean of the far heads, each query weighed by their share squared."""
    weights, is_near = near_and_far(TRAIN, 64)
    far = np.where(is_near, 0, weights)
    share = far.sum(axis=1) / weights.sum(axis=1)
    constant = np.average(far @ TEACHER.answers / far.sum(axis=1, keepdims=True), axis=0, weights=share**2)
    weight = share * (1 - share) + 1e-4
    weights, is_near = near_and_far(TEST, 64)
    log_far = np.average(
        np.log(far.sum(axis=1)) + near_and_far_top(TRAIN), weights=weight
    ) - near_and_far_top(TEST)
    mass = np.exp(log_far)[:, None]
    own = np.where(is_near, weights, 0)
    expected = (own @ TEACHER.answers + mass * constant) / (own.sum(axis=1, keepdims=True) + mass)
    np.testing.assert_allclose(rungs["top_64_constant"].predict(TEST), expected, rtol=2e-3, atol=2e-4)


def near_and_far_top(queries: Matrix) -> NDArray[np.float64]:
    units = CENTROIDS.astype(np.float64) / np.linalg.norm(CENTROIDS, axis=1, keepdims=True)
    return np.asarray((queries @ units.T / np.linalg.norm(queries, axis=1, keepdims=True) / TAU).max(axis=1))


def test_each_rival_is_nearer_than_the_simpler_form_of_itself(rungs: dict[str, Baseline]) -> None:
    targets = TEACHER.project(TEST)
    cosines = {name: cosine_similarities(rung.predict(TEST), targets).mean() for name, rung in rungs.items()}
    assert cosines["top_32"] < cosines["top_64_constant"] < cosines["top_64_ridge"] < 1
    assert cosines["merged_1024"] <= cosines["spread_1024"] + 1e-4
    assert cosines["int8"] > 0.9999


def test_the_heads_of_the_scan_are_weighed_anew(rungs: dict[str, Baseline]) -> None:
    """Its codes miss few of the 32 best heads, so that it is near to the exact routing."""
    both = rungs["scan_32"].predict(TEST), rungs["top_32"].predict(TEST)
    assert cosine_similarities(*both).mean() > 0.97


def test_they_cost_what_they_compute(rungs: dict[str, Baseline]) -> None:
    teacher, size = lda_cost(HEADS, DIMENSION), HEADS * DIMENSION
    assert rungs["top_64_constant"].parameters == 2 * size + DIMENSION + 1
    assert rungs["top_64_ridge"].parameters == 2 * size + (DIMENSION + 1) ** 2
    assert rungs["int8"].cost.flops == teacher.flops
    assert rungs["int8"].parameters == teacher.parameters + 2 * HEADS
    assert rungs["scan_32"].cost.flops < teacher.flops / 4
    assert rungs["spread_1024"].parameters == 2 * 2 * 1024 * DIMENSION + 1024


def test_second_moments_are_exact_for_heads_that_spread_along_a_line() -> None:
    """Groups whose heads stand at +-x on a line: the mean of e^s is cosh t, which 1 + t^2 / 2 begins."""
    centres, line = np.eye(4, dtype=np.float32), np.float32(0.02)
    offsets = np.roll(np.eye(4, dtype=np.float32), 1, axis=1) * line
    centroids = np.concatenate((centres + offsets, centres - offsets))
    answers = np.concatenate((centres + 5 * offsets, centres - 5 * offsets))
    teacher = MultiHeadLDA(centroids, answers, 0.1)
    groups = np.tile(np.arange(4), 2)
    spread = spread_of(teacher, groups, 1)
    queries = RNG.standard_normal((50, 4)).astype(np.float32)
    targets = teacher.project(queries)
    np.testing.assert_allclose(spread.project(queries), targets, rtol=2e-3, atol=3e-4)
    plain = SpreadTeacher(
        spread.centroids, spread.answers, spread.log_sizes, spread.axes, spread.slopes, 0.1, share=0.0
    )
    np.testing.assert_allclose(plain.project(queries), merged_by(teacher, groups).project(queries), atol=2e-3)
    assert (
        np.abs(plain.project(queries) - targets).max() > 20 * np.abs(spread.project(queries) - targets).max()
    )


def test_many_rows_are_grouped_as_well_by_early_ends() -> None:
    """Planted topics are found again: most heads stand in a group of their topic."""
    rng = np.random.default_rng(0)  # its own: what others drew before depends on who runs beside it
    topics = rng.integers(60, size=5_000)
    noise = rng.standard_normal((len(topics), DIMENSION)).astype(np.float32)
    heads = TOPICS[topics] + np.float32(0.3) * noise
    groups = group_heads(MultiHeadLDA(heads, heads, TAU), 60)
    largest = sum(np.bincount(topics[groups == group]).max() for group in range(60))
    assert largest > 0.85 * len(heads)  # 0.88 to 0.97 by the draw, with every row as with a part
