from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tui.charts.braille import BLANK_BRAILLE, Stroke, braille_cells, polyline_dots

NAN = math.nan
coordinate = st.integers(0, 30)


def drawn(columns: list[int], rows: list[float], stroke: Stroke = Stroke.SOLID) -> set[tuple[int, int]]:
    x, y = polyline_dots(np.array(columns, dtype=np.int64), np.array(rows, dtype=np.float64), stroke)
    return set(zip(x.tolist(), y.tolist(), strict=True))


def characters(dots: set[tuple[int, int]], width: int, height: int) -> list[str]:
    x, y = np.array(sorted(dots), dtype=np.int64).reshape(-1, 2).T
    return ["".join(chr(BLANK_BRAILLE + int(c)) for c in row) for row in braille_cells(x, y, width, height)]


@pytest.mark.parametrize(
    ("dot", "character"),
    [
        ((0, 0), "⠁"),
        ((0, 1), "⠂"),
        ((0, 2), "⠄"),
        ((0, 3), "⡀"),
        ((1, 0), "⠈"),
        ((1, 1), "⠐"),
        ((1, 2), "⠠"),
        ((1, 3), "⢀"),
    ],
)
def test_every_dot_has_its_bit(dot: tuple[int, int], character: str) -> None:
    assert characters({dot}, 1, 1) == [character]


def test_all_dots_fill_a_cell_and_the_next_stays_blank() -> None:
    assert characters({(x, y) for x in range(2) for y in range(4)}, 2, 2) == ["⣿⠀", "⠀⠀"]


def test_dots_outside_are_dropped() -> None:
    assert characters({(-1, 0), (4, 0), (0, -1), (0, 4), (3, 3)}, 2, 1) == ["⠀⢀"]


def test_a_level_line_is_solid_dotted_or_sparse() -> None:
    assert characters(drawn([0, 7], [1, 1]), 4, 1) == ["⠒⠒⠒⠒"]
    assert characters(drawn([0, 7], [1, 1], Stroke.DOTTED), 4, 1) == ["⠂⠂⠂⠂"]
    assert characters(drawn([0, 7], [1, 1], Stroke.SPARSE), 4, 1) == ["⠂⠀⠂⠀"]


def test_a_steep_line_is_dotted_downwards() -> None:
    assert drawn([3, 3], [0, 5], Stroke.DOTTED) == {(3, 0), (3, 2), (3, 4)}


def test_a_diagonal_has_one_dot_a_column() -> None:
    assert drawn([0, 3], [0, 3]) == {(0, 0), (1, 1), (2, 2), (3, 3)}


def test_nan_and_infinity_are_gaps() -> None:
    assert drawn([0, 1, 2, 3, 4, 5, 6], [0, 0, NAN, 0, 0, math.inf, 0]) == {
        (0, 0),
        (1, 0),
        (3, 0),
        (4, 0),
        (6, 0),
    }


@pytest.mark.parametrize("stroke", list(Stroke))
def test_a_point_between_gaps_is_seen(stroke: Stroke) -> None:
    assert drawn([4, 5, 7], [NAN, 3, NAN], stroke) == {(5, 3)}


@pytest.mark.parametrize("stroke", list(Stroke))
def test_nothing_and_gaps_alone_draw_nothing(stroke: Stroke) -> None:
    assert drawn([], [], stroke) == set()
    assert drawn([1, 2], [NAN, NAN], stroke) == set()


@settings(deadline=None)
@given(start=st.tuples(coordinate, coordinate), end=st.tuples(coordinate, coordinate))
def test_a_segment_is_connected_from_end_to_end(start: tuple[int, int], end: tuple[int, int]) -> None:
    columns, rows = [start[0], end[0]], [float(start[1]), float(end[1])]
    x, y = polyline_dots(np.array(columns), np.array(rows), Stroke.SOLID)
    assert (x[0], y[0]) == start
    assert (x[-1], y[-1]) == end
    assert (np.maximum(abs(np.diff(x)), abs(np.diff(y))) <= 1).all()


@settings(deadline=None)
@given(points=st.lists(st.tuples(coordinate, coordinate), max_size=20), stroke=st.sampled_from(Stroke))
def test_a_stroke_lights_nothing_that_the_solid_line_does_not(
    points: list[tuple[int, int]], stroke: Stroke
) -> None:
    columns, rows = [x for x, _ in points], [float(y) for _, y in points]
    assert drawn(columns, rows, stroke) <= drawn(columns, rows)
