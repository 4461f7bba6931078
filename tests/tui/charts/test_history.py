from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tui.charts.history import MetricHistory

NAN, INF = math.nan, math.inf
floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


def test_points_come_back_in_order_with_nan_kept() -> None:
    history = MetricHistory()
    history.append("train", 1, 0.5)
    history.append("train", 2, NAN)
    history.append("validation", 2, 0.75)
    np.testing.assert_array_equal(history["train"].x, [1, 2])
    np.testing.assert_array_equal(history["train"].y, [0.5, NAN])
    np.testing.assert_array_equal(history["validation"].y, [0.75])


def test_a_quarter_of_a_million_points_survive_growing() -> None:
    history = MetricHistory()
    x = np.arange(250_000.0)
    for start in range(0, x.size, 777):
        history.extend("train", x[start : start + 777], np.sin(x[start : start + 777]))
    np.testing.assert_array_equal(history["train"].x, x)
    np.testing.assert_array_equal(history["train"].y, np.sin(x))


def test_bounds_ignore_what_is_not_finite_and_count_it() -> None:
    history = MetricHistory()
    history.extend("train", (0, 1, 2, 3), (0.25, NAN, -2.0, INF))
    history.extend("validation", (4, 5), (0.0, 3.5))
    x, y = history.bounds()
    assert (x.low, x.high, x.low_positive, x.not_positive) == (0, 5, 1, 1)
    assert (y.low, y.high, y.low_positive) == (-2.0, 3.5, 0.25)
    assert (y.not_positive, y.not_finite) == (2, 2)


@pytest.mark.parametrize("values", [(), (NAN,), (INF, -INF)])
def test_without_finite_values_the_bounds_are_empty(values: tuple[float, ...]) -> None:
    history = MetricHistory()
    history.extend("train", range(len(values)), values)
    assert history.bounds()[1].is_empty


def test_the_revision_tells_whether_anything_came() -> None:
    history = MetricHistory()
    assert history.revision == 0
    history.extend("train", (), ())
    assert history.revision == 0
    history.append("validation", 1, 1.0)
    assert history.revision == 1


def test_clear_forgets_points_and_bounds() -> None:
    history = MetricHistory()
    history.append("train", 1, 1.0)
    history.clear()
    assert history["train"].count == 0
    assert history.bounds()[1].is_empty
    assert (history.revision, history.generation) == (2, 1)


def test_positions_and_values_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="2 positions for 1 values"):
        MetricHistory().extend("train", (1, 2), (0.5,))


@settings(deadline=None)
@given(chunks=st.lists(st.lists(floats, max_size=8), max_size=8))
def test_bounds_do_not_depend_on_how_the_points_came(chunks: list[list[float]]) -> None:
    history = MetricHistory()
    for chunk in chunks:
        history.extend("train", range(len(chunk)), chunk)
    everything = np.array([value for chunk in chunks for value in chunk])
    finite = everything[np.isfinite(everything)]
    _, y = history.bounds()
    assert y.not_finite == everything.size - finite.size
    assert y.not_positive == np.count_nonzero(finite <= 0)
    assert y.is_empty == (finite.size == 0)
    if finite.size:
        assert (y.low, y.high) == (finite.min(), finite.max())
