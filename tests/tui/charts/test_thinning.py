from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tui.charts.braille import (
    MAX_POINTS_PER_COLUMN,
    IntArray,
    Stroke,
    ThinnedLine,
    polyline_dots,
    thin,
)
from distill_tui.charts.history import FloatArray

NAN = math.nan
Points = list[tuple[int, float]]

values_with_gaps = st.one_of(st.integers(-20, 20).map(float), st.just(NAN))
points = st.lists(st.tuples(st.integers(0, 9), values_with_gaps), max_size=120).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)
points_without_gaps = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-20, 20).map(float)), max_size=120
).map(lambda pairs: sorted(pairs, key=lambda pair: pair[0]))


def arrays(pairs: Points) -> tuple[IntArray, FloatArray]:
    columns = np.array([column for column, _ in pairs], dtype=np.int64)
    return columns, np.array([value for _, value in pairs], dtype=np.float64)


def test_one_column_keeps_first_lowest_highest_and_last() -> None:
    values = np.array([3.0, 4.0, 9.0, 5.0, 1.0, 2.0, 6.0])
    assert thin(np.zeros(7, dtype=np.int64), values).tolist() == [0, 2, 4, 6]


def test_a_gap_at_the_edge_of_a_column_stays_a_gap() -> None:
    columns = np.array([0, 0, 0, 5, 5])
    values = np.array([1.0, 2.0, NAN, 7.0, 8.0])
    assert thin(columns, values).tolist() == [0, 1, 2, 3, 4]


def test_a_gap_within_a_column_is_narrower_than_a_dot() -> None:
    values = np.array([1.0, NAN, NAN, 2.0])
    assert thin(np.zeros(4, dtype=np.int64), values).tolist() == [0, 3]


def test_nothing_thins_to_nothing() -> None:
    assert thin(np.empty(0, dtype=np.int64), np.empty(0)).size == 0


def test_two_hundred_thousand_points_become_a_few_per_column() -> None:
    values = np.random.default_rng(0).standard_normal(200_000)
    kept = thin(np.arange(200_000) // 1000, values)
    assert kept.size <= 200 * MAX_POINTS_PER_COLUMN
    assert {int(values.argmin()), int(values.argmax()), 0, 199_999} <= set(kept.tolist())


@settings(deadline=None)
@given(pairs=points)
def test_first_last_and_extremes_are_kept_and_the_bound_holds(pairs: Points) -> None:
    columns, values = arrays(pairs)
    kept = thin(columns, values)
    assert (np.diff(kept) > 0).all()
    for column in np.unique(columns):
        inside = kept[columns[kept] == column]
        whole = np.flatnonzero(columns == column)
        assert inside.size <= MAX_POINTS_PER_COLUMN
        assert (inside[0], inside[-1]) == (whole[0], whole[-1])
        finite = values[whole][np.isfinite(values[whole])]
        if finite.size:
            assert np.nanmin(values[inside]) == finite.min()
            assert np.nanmax(values[inside]) == finite.max()


@settings(deadline=None)
@given(pairs=points_without_gaps)
def test_the_thinned_line_lights_the_same_dots(pairs: Points) -> None:
    columns, values = arrays(pairs)
    kept = thin(columns, values)
    whole = set(zip(*polyline_dots(columns, values, Stroke.SOLID), strict=True))
    thinned = set(zip(*polyline_dots(columns[kept], values[kept], Stroke.SOLID), strict=True))
    assert thinned == whole


@settings(deadline=None)
@given(pairs=points, chunk=st.integers(1, 17))
def test_growing_piece_by_piece_ends_where_one_go_does(pairs: Points, chunk: int) -> None:
    columns, values = arrays(pairs)
    line = ThinnedLine()
    for end in range(chunk, columns.size + chunk, chunk):
        line.extend(columns[line.consumed : end], values[line.consumed : end])
    kept = thin(columns, values)
    np.testing.assert_array_equal(line.columns, columns[kept])
    np.testing.assert_array_equal(line.values, values[kept])


def test_only_the_newest_column_is_thinned_again() -> None:
    line = ThinnedLine()
    line.extend(np.array([0, 0, 1, 1]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert line.consumed == 2
    line.extend(np.array([1, 1, 1, 2]), np.array([3.0, 4.0, 0.0, 5.0]))
    assert line.consumed == 5
    assert line.columns.tolist() == [0, 0, 1, 1, 1, 2]
    assert line.values.tolist() == [1, 2, 3, 4, 0, 5]


def test_steps_that_go_back_are_drawn_and_not_lost() -> None:
    line = ThinnedLine()
    line.extend(np.array([4, 5, 2, 2]), np.array([1.0, 2.0, 3.0, 4.0]))
    line.extend(np.array([2, 2, 3]), np.array([3.0, 4.0, 5.0]))
    assert line.columns.tolist() == [4, 5, 2, 2, 3]
