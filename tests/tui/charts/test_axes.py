from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from distill_tui.charts.axes import (
    Axis,
    axis_ticks,
    linear_axis,
    log_axis,
    nice_step,
    short_number,
    step_axis,
    value_axis,
)
from distill_tui.charts.history import Extent

finite = st.floats(-1e200, 1e200)
positive = st.floats(1e-200, 1e200)


def extent(*values: float) -> Extent:
    found = Extent()
    found.add(np.array(values))
    return found


@pytest.mark.parametrize(
    ("span", "step"), [(1.0, 0.2), (5.0, 1.0), (6.0, 2.0), (11.0, 2.5), (13.0, 5.0), (0.0003, 0.0001)]
)
def test_steps_are_1_2_2_and_a_half_or_5(span: float, step: float) -> None:
    assert nice_step(span) == pytest.approx(step)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.03, 0.87, (0.0, 1.0)), (0.41, 0.96, (0.4, 1.0)), (-3.0, 8.0, (-5.0, 10.0)), (0.0, 1.0, (0.0, 1.0))],
)
def test_linear_bounds_are_rounded_outward(low: float, high: float, expected: tuple[float, float]) -> None:
    axis = linear_axis(low, high)
    assert (axis.low, axis.high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(3e-4, 0.8, (2e-4, 1.0)), (0.01, 0.1, (0.01, 0.1)), (1.5, 1.5, (1.0, 2.0)), (1.0, 1.0, (0.5, 2.0))],
)
def test_log_bounds_are_1_2_or_5_in_a_decade(low: float, high: float, expected: tuple[float, float]) -> None:
    axis = log_axis(low, high)
    assert (axis.low, axis.high) == pytest.approx(expected)


@settings(deadline=None)
@given(a=finite, b=finite)
def test_a_linear_axis_holds_its_data_and_is_not_much_wider(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    axis = linear_axis(low, high)
    assert axis.low <= low <= high <= axis.high
    assert axis.low < axis.high
    if high - low > 1e-6 * max(abs(low), abs(high), 1e-200):
        assert axis.high - axis.low <= 2 * (high - low)


@settings(deadline=None)
@given(a=positive, b=positive)
def test_a_log_axis_holds_its_data(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    axis = log_axis(low, high)
    assert axis.low <= low <= high <= axis.high
    assert axis.low < axis.high


@settings(deadline=None)
@given(a=finite, b=finite, log=st.booleans())
def test_an_axis_that_was_just_chosen_stays(a: float, b: float, log: bool) -> None:
    assume(not log or max(a, b) > 0)
    data = extent(a, b)
    first = value_axis(None, data, log=log)
    assert value_axis(first, data, log=log) == first


def test_an_axis_stays_until_the_data_leave_it() -> None:
    axis = value_axis(None, extent(0.1, 0.95), log=False)
    assert (axis.low, axis.high) == (0.0, 1.0)
    assert value_axis(axis, extent(0.1, 0.7), log=False) is axis
    grown = value_axis(axis, extent(0.1, 1.01), log=False)
    assert grown.high > 1.01


def test_an_axis_is_taken_in_when_a_third_would_do() -> None:
    wide = Axis(0.0, 1.0)
    assert value_axis(wide, extent(0.3, 0.65), log=False) is wide
    tight = value_axis(wide, extent(0.3, 0.6), log=False)
    assert (tight.low, tight.high) == pytest.approx((0.3, 0.6))


def test_a_change_of_scale_is_a_new_axis() -> None:
    data = extent(0.01, 0.9)
    axis = value_axis(value_axis(None, data, log=False), data, log=True)
    assert axis.log
    assert axis.low == pytest.approx(0.01)


@pytest.mark.parametrize("constant", [0.0, 1.0, -7.5, 1e-250, 0.123456789])
def test_a_constant_lies_inside_of_its_axis(constant: float) -> None:
    axis = value_axis(None, extent(constant), log=False)
    assert axis.low < constant < axis.high


@pytest.mark.parametrize("log", [False, True])
def test_without_data_there_is_an_axis(log: bool) -> None:
    axis = value_axis(None, Extent(), log=log)
    assert axis.low < axis.high
    assert axis_ticks(axis, 4)


def test_a_log_axis_of_nothing_positive_is_like_one_without_data() -> None:
    assert value_axis(None, extent(-1.0, 0.0), log=True) == value_axis(None, Extent(), log=True)


def test_the_log_scale_is_a_true_one() -> None:
    axis = Axis(0.001, 1000.0, log=True)
    found = axis.fractions(np.array([0.001, 0.1, 1.0, 1000.0, 0.0, -5.0, math.nan]))
    np.testing.assert_allclose(found, [0, 1 / 3, 0.5, 1, math.nan, math.nan, math.nan])


def test_the_linear_scale_keeps_gaps() -> None:
    found = Axis(-1.0, 3.0).fractions(np.array([-1.0, 0.0, 3.0, math.nan, math.inf]))
    np.testing.assert_allclose(found, [0, 0.25, 1, math.nan, math.nan])


def test_steps_end_at_the_known_total() -> None:
    axis = step_axis(extent(0, 17), 5000, log=False)
    assert (axis.low, axis.high) == (0, 5000)


@pytest.mark.parametrize(("last", "reach"), [(3, 10), (10, 10), (11, 20), (1000, 1280)])
def test_steps_without_a_total_double(last: float, reach: float) -> None:
    assert step_axis(extent(0, last), None, log=False).high == reach


def test_steps_beyond_the_total_are_shown() -> None:
    assert step_axis(extent(0, 120), 100, log=False).high == 200


def test_log_steps_begin_at_the_first_positive_one() -> None:
    axis = step_axis(extent(0, 3, 900), 1000, log=True)
    assert (axis.low, axis.high, axis.log) == (2, 1000, True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (0.0001, "1e-4"),
        (0.00025, "2.5e-4"),
        (10_000.0, "10k"),
        (12_500.0, "12.5k"),
        (2_000_000.0, "2M"),
        (0.0, "0"),
        (-3.0, "-3"),
        (0.0123456, "0.01235"),
        (123.0, "123"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (1e15, "1e15"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert short_number(value) == text


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_few_digits_never_round_what_is_before_the_point(digits: int) -> None:
    assert short_number(250.0, digits) == "250"


@pytest.mark.parametrize(
    ("axis", "count", "labels"),
    [
        (Axis(0, 1), 6, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis(0, 10_000), 5, ["0", "2.5k", "5k", "7.5k", "10k"]),
        (Axis(0.9999, 1), 3, ["0.9999", "0.99995", "1"]),
        (Axis(1e-4, 1, log=True), 5, ["1e-4", "0.001", "0.01", "0.1", "1"]),
        (Axis(0.1, 1, log=True), 4, ["0.1", "0.2", "0.5", "1"]),
        (Axis(1e-8, 1, log=True), 5, ["1e-8", "1e-6", "1e-4", "0.01", "1"]),
    ],
)
def test_ticks_lie_at_round_values(axis: Axis, count: int, labels: list[str]) -> None:
    assert [tick.label for tick in axis_ticks(axis, count)] == labels


@settings(deadline=None)
@given(a=finite, b=finite, count=st.integers(1, 12), log=st.booleans())
def test_ticks_lie_on_the_axis_and_can_be_told_apart(a: float, b: float, count: int, log: bool) -> None:
    low, high = min(a, b), max(a, b)
    if log:
        assume(low > 1e-200)
    axis = log_axis(low, high) if log else linear_axis(low, high)
    ticks = axis_ticks(axis, count)
    assert 1 <= len(ticks) <= max(count, 2) + 1
    assert all(0 <= tick.fraction <= 1 for tick in ticks)
    assert len({tick.label for tick in ticks}) == len(ticks)
