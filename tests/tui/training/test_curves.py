"""Curves of several runs: seeds of one setting are a mean with a band."""

from __future__ import annotations

import pytest

from distill_tui.training.curves import RunCurve, curve_history, seeds_together


def test_seeds_are_one_curve_at_the_steps_that_all_of_them_have() -> None:
    one = RunCurve("H2 s0", (1, 2, 3), (0.5, 0.6, 0.9), "a", "H2")
    two = RunCurve("H2 s1", (1, 2), (0.7, 0.9), "a", "H2")
    other = RunCurve("H4 s0", (1, 2), (0.1, 0.2), "b", "H4")
    mean, alone = seeds_together([one, other, two])
    assert (mean.name, mean.steps, mean.num_runs) == ("H2", (1, 2), 2)
    assert mean.cosines == pytest.approx((0.6, 0.75))
    assert (mean.low, mean.high) == ((0.5, 0.6), (0.7, 0.9))
    assert alone is other


def test_a_band_of_distances_has_its_ends_the_other_way_round() -> None:
    mean = RunCurve("H2", (1,), (0.75,), low=(0.5,), high=(0.875,), num_runs=2)
    low, high = curve_history([mean], of_errors=True).bands["1"]
    assert (low.y.tolist(), high.y.tolist()) == ([0.125], [0.5])


def test_runs_without_a_setting_stay_apart() -> None:
    curves = [RunCurve("a", (1,), (0.5,)), RunCurve("b", (1,), (0.6,))]
    assert list(seeds_together(curves)) == curves
