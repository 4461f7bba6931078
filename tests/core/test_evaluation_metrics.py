from __future__ import annotations

import math

import numpy as np
import pytest

from distill_core.evaluation import cosine_similarities, evaluate


def test_a_hand_computed_evaluation() -> None:
    predicted = [[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]]
    target = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    result = evaluate(predicted, target, constant=[0.0, 1.0])
    cosines = [1.0, 0.0, 1 / math.sqrt(2)]
    assert result.n == 3
    assert result.cosine.mean == pytest.approx(sum(cosines) / 3)
    assert result.cosine.sd == pytest.approx(
        math.sqrt(sum((cosine - sum(cosines) / 3) ** 2 for cosine in cosines) / 3)
    )
    assert (result.cosine.min, result.cosine.max) == pytest.approx((0.0, 1.0))
    assert result.cosine.p5 == pytest.approx(0.1 * cosines[2]), "a tenth of the way from 0 to the next value"
    assert result.mse == pytest.approx((4 + 1 + 4 + 1) / 6)
    assert result.relative_norm == pytest.approx((3 + 2 + math.sqrt(2)) / 3)
    assert result.r2 == pytest.approx(1 - (4 + 5 + 1) / (2 + 2 + 2))
    assert result.skill == pytest.approx(1 - (1 - sum(cosines) / 3) / (1 - 0))


def test_without_a_constant_there_is_no_skill() -> None:
    result = evaluate(np.eye(3), np.eye(3))
    assert (result.skill, result.r2) == (None, None)


def test_the_constant_itself_has_skill_and_r2_of_zero() -> None:
    targets = np.random.default_rng(0).normal(size=(20, 5))
    constant = targets.mean(axis=0)
    result = evaluate(np.tile(constant, (20, 1)), targets, constant)
    assert result.skill == pytest.approx(0.0, abs=1e-12)
    assert result.r2 == pytest.approx(0.0, abs=1e-12)


def test_where_the_constant_is_perfect_skill_is_not_defined() -> None:
    targets = np.tile([1.0, 2.0, 3.0], (4, 1))
    result = evaluate(targets, targets, constant=[1.0, 2.0, 3.0])
    assert (result.skill, result.r2) == (None, None)
    assert result.cosine.mean == pytest.approx(1.0)


def test_a_row_of_zeros_has_cosine_zero_and_nan_stays_nan() -> None:
    cosines = cosine_similarities([[0.0, 0.0], [math.nan, 1.0], [2.0, 0.0]], [[1.0, 0.0]] * 3)
    assert cosines[0] == 0.0
    assert math.isnan(cosines[1])
    assert cosines[2] == pytest.approx(1.0)
