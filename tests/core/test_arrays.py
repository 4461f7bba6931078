from __future__ import annotations

import numpy as np

from distill_core.arrays import group_sums, zeros_in_small_pages


def test_the_sums_of_groups_one_of_which_is_empty() -> None:
    rng = np.random.default_rng(4)
    rows, groups = rng.standard_normal((200, 7)).astype(np.float32), rng.integers(6, size=200)
    groups[groups == 2] = 3
    sums = group_sums(rows, groups, 6)
    assert not sums[2].any()
    for group in range(6):
        one_by_one = sum((row.astype(np.float64) for row in rows[groups == group]), np.zeros(7))
        np.testing.assert_allclose(sums[group], one_by_one, atol=1e-5)


def test_rows_that_are_written_stand_among_zeros() -> None:
    zeros = zeros_in_small_pages((3_000, 5))
    assert zeros.dtype == np.float32
    assert not zeros.any()
    zeros[[7, 2_999]] = 2.0
    assert np.flatnonzero(zeros.any(axis=1)).tolist() == [7, 2_999]
    assert zeros.sum() == 20.0


def test_no_rows_are_zeros_too() -> None:
    assert zeros_in_small_pages((0, 5)).shape == (0, 5)
