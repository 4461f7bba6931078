from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tui.charts.axes import share_number
from distill_tui.charts.braille import Picture, Role, Span
from distill_tui.charts.figure import NO_DATA, Figure
from distill_tui.charts.frame import LineName, spread
from distill_tui.charts.history import MetricHistory
from distill_tui.charts.plot import Baseline, Options

NAN = math.nan
anything = st.floats(allow_nan=True, allow_infinity=True)


def history_of(train: list[float], validation: list[float] | None = None) -> MetricHistory:
    history = MetricHistory()
    history.extend("train", range(len(train)), train)
    history.extend("validation", range(len(validation or [])), validation or [])
    return history


def rows_of(picture: Picture) -> list[str]:
    return [picture.text(row) for row in range(picture.height)]


def draw(history: MetricHistory, width: int, height: int, options: Options) -> list[str]:
    return rows_of(Figure(history).draw(width, height, options))


def test_a_straight_line_goes_from_corner_to_corner() -> None:
    bits = {(0, 0): 1, (0, 1): 2, (0, 2): 4, (1, 0): 8, (1, 1): 16, (1, 2): 32, (0, 3): 64, (1, 3): 128}
    expected = [[0x2800] * 15 for _ in range(2)]
    for x in range(30):
        y = round(7 - 7 * x / 29)
        expected[y // 4][x // 2] |= bits[x % 2, y % 4]
    rows = draw(history_of([0.0, 1.0]), 15, 3, Options("Loss", x_total=1))
    assert [row.replace(" ", "⠀") for row in rows[1:]] == ["".join(map(chr, row)) for row in expected]


def test_ascii_says_the_same_without_special_characters() -> None:
    options = Options("Loss", "step", 3, baselines=(Baseline("ridge", 0.5),), ascii=True)
    rows = draw(history_of([1.0, 0.0, -0.5, 1.0], [0.75] * 4), 50, 12, options)
    assert all(row.isascii() for row in rows)
    assert {"*", "o", "-"} <= set("".join(row[8:] for row in rows[1:-2]))


@pytest.mark.parametrize(
    ("ascii_only", "train_cell", "validation_cell"), [(False, "⠒", "⠂"), (True, "*", "o")]
)
def test_series_differ_without_colour(ascii_only: bool, train_cell: str, validation_cell: str) -> None:
    options = Options(x_total=1, ascii=ascii_only, baselines=(Baseline("", 0.0), Baseline("", 1.0)))
    level = [2 / 3, 2 / 3]  # dot row 9 of 27: the second one of its cell
    train = "\n".join(draw(history_of(level), 60, 10, options))
    validation = "\n".join(draw(history_of([], level), 60, 10, options))
    assert train.count(train_cell) > 40
    assert train.count(validation_cell) == 0
    assert validation.count(validation_cell) > 40
    assert validation.count(train_cell) == 0


def test_where_two_lines_are_one_they_take_turns() -> None:
    picture = Figure(history_of([1.0] * 100, [1.0] * 100)).draw(60, 10, Options(x_total=99))
    row = next(y for y in range(1, 8) if (picture.roles[y] == Role.TRAIN).any())
    line = picture.roles[row][picture.glyphs[row] > 0x2800]
    assert np.count_nonzero(line == Role.TRAIN) == pytest.approx(line.size / 2, abs=1)
    assert np.count_nonzero(line == Role.VALIDATION) == pytest.approx(line.size / 2, abs=1)


def test_nan_leaves_a_gap_and_is_counted() -> None:
    rows = draw(history_of([1.0, 1.0, NAN, NAN, 1.0, 1.0]), 60, 8, Options("Loss", x_total=5))
    line = next(row for row in rows[1:7] if set(row) & {"⠉", "⠒", "⠤", "⣀"})[8:].rstrip()
    assert line.count(" ") > 15
    assert "2 NaN or inf" in rows[0]
    assert "train 1" in rows[0]


def test_what_a_log_axis_cannot_show_is_counted_not_clamped() -> None:
    history = history_of([1.0, 0.0, -1.0, 0.01, 0.0])
    rows = draw(history, 70, 10, Options("Loss", log_y=True))
    assert rows[0].startswith("Loss (log)")
    assert "3 values ≤ 0 not shown" in rows[0]
    assert rows[1].lstrip().startswith("1┤")
    assert "not shown" not in draw(history, 70, 10, Options("Loss"))[0]


def test_on_a_log_axis_the_lowest_positive_value_of_a_column_is_drawn() -> None:
    history = MetricHistory()
    history.extend("train", [50.0] * 4, [1.0, 0.01, -1.0, 0.5])
    picture = Figure(history).draw(60, 12, Options(log_y=True, x_total=100))
    drawn = np.flatnonzero((picture.roles[1:10] == Role.TRAIN).any(axis=1))
    assert drawn.tolist() == list(range(9))


def test_a_log_x_axis_counts_the_step_it_cannot_show() -> None:
    rows = draw(history_of([3.0, 2.0, 1.0]), 70, 10, Options("Loss", log_x=True, ascii=True))
    assert "1 value <= 0 not shown" in rows[0]


def test_baselines_are_named_at_the_right_edge_with_their_values_the_highest_on_top() -> None:
    baselines = (Baseline("ridge", 0.502), Baseline("mean", 0.5), Baseline("identity", 0.501))
    rows = draw(history_of([0.0, 1.0]), 60, 12, Options(x_total=1, baselines=baselines))
    named = [(y, row.split()[-2:]) for y, row in enumerate(rows) if row.rstrip()[-4:].startswith(".50")]
    first = named[0][0]
    assert named == [
        (first, ["ridge", ".502"]),
        (first + 1, ["identity", ".501"]),
        (first + 2, ["mean", ".500"]),
    ]


@given(st.lists(st.integers(0, 11), max_size=14).map(sorted), st.just(12))
def test_a_name_stands_beside_its_line_and_as_many_do_as_can(rows: list[int], height: int) -> None:
    names = [LineName(row, f"n{number}", "0") for number, row in enumerate(rows)]
    placed = spread(names, height)
    assert all(abs(row - name.row) <= 1 for row, name in placed)
    assert all(0 <= row < height for row, _name in placed)
    assert [name for _row, name in placed] == [name for name in names if name in [n for _r, n in placed]]
    taken = [row for row, _name in placed]
    assert taken == sorted(set(taken))
    assert len(placed) == _most(tuple(rows), height)


@cache
def _most(rows: tuple[int, ...], height: int, free: int = 0) -> int:
    """Return by trying everything how many names find a row within one of their own, in their order."""
    if not rows:
        return 0
    places = range(max(rows[0] - 1, free), min(rows[0] + 2, height))
    taken = [1 + _most(rows[1:], height, place + 1) for place in places]
    return max([*taken, _most(rows[1:], height, free)])


def test_a_lone_name_is_on_the_row_of_its_line_and_crowded_ones_go_both_ways() -> None:
    names = [LineName(row, "n", "0") for row in (2, 7, 7, 7, 7)]
    assert [row for row, _name in spread(names, 12)] == [2, 6, 7, 8]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8584, ".858"), (-0.25, "-.250"), (0.9996, "0.9996"), (10.5, "10.5"), (0.0, "0"), (1e-5, "1e-5")],
)
def test_values_beside_lines_are_short(value: float, text: str) -> None:
    assert share_number(value) == text


def test_a_name_too_long_is_cut_and_its_value_is_not() -> None:
    name = LineName(0, "nearest training query", ".517")
    assert name.fitted(40, "…") == "nearest training query .517"
    assert name.fitted(12, "…") == "neares… .517"
    assert name.fitted(5, "…") == "near…"


def test_a_baseline_widens_the_axis_and_a_hopeless_one_is_left_out() -> None:
    baselines = (Baseline("far", 5.0), Baseline("broken", NAN), Baseline("negative", -1.0))
    rows = draw(history_of([1.0, 0.5]), 60, 12, Options(log_y=True, baselines=baselines))
    text = "\n".join(rows)
    assert "far" in text
    assert "broken" not in text
    assert "negative" not in text


def test_without_values_it_says_so() -> None:
    assert NO_DATA in "\n".join(draw(MetricHistory(), 40, 8, Options("Loss")))
    assert NO_DATA in "\n".join(draw(history_of([NAN, NAN]), 40, 8, Options("Loss")))


def test_names_give_way_before_values_do() -> None:
    history = history_of([0.5, 0.25], [0.75])
    assert "train 0.25  ⠂⠂ validation 0.75" in draw(history, 60, 8, Options("Loss"))[0]
    assert "train 0.25 ⠂⠂valid 0.75" in draw(history, 36, 8, Options("Loss"))[0]
    assert draw(history, 22, 8, Options("Loss"))[0].rstrip() == "Loss ⠒⠒0.25 ⠂⠂0.75"
    assert draw(history, 3, 8, Options("Loss"))[0] == "Los"


def test_wide_characters_do_not_shift_a_row() -> None:
    options = Options("損失", "步", baselines=(Baseline("平均", 0.5),))
    assert draw(history_of([0.0, 1.0]), 60, 8, options)[0].startswith("??")


def test_settled_cells_stay_when_points_come() -> None:
    history = MetricHistory()
    figure, options = Figure(history), Options("Loss", x_total=1000)
    values = 1 / (1 + np.arange(600) / 50) + 0.05 * np.sin(np.arange(600))
    history.extend("train", range(500), values[:500])
    before = figure.draw(80, 20, options)
    history.extend("train", range(500, 506), values[500:506])
    changed = [span for span in figure.draw(80, 20, options).changes(before) if span.row > 0]
    assert len(changed) <= 4
    assert all(span.start >= 40 for span in changed)


def test_changes_span_from_the_first_to_the_last_cell_that_differs() -> None:
    before, after = Picture(10, 3), Picture(10, 3)
    for picture, text in ((before, "a  b  c"), (after, "a  x  y")):
        picture.write(1, 1, text, Role.AXIS)
    assert after.changes(before) == [Span(1, 4, 8)]
    after.write(0, 2, "same", Role.TRAIN)
    before.write(0, 2, "same", Role.AXIS)
    assert after.changes(before)[1] == Span(2, 0, 4)
    assert after.changes(after) == []


def test_a_cleared_history_starts_over() -> None:
    history = history_of([5.0] * 50)
    figure, options = Figure(history), Options("Loss", x_total=100)
    figure.draw(60, 10, options)
    history.clear()
    history.extend("train", [0.0, 100.0], [1.0, 2.0])
    assert rows_of(figure.draw(60, 10, options)) == draw(history, 60, 10, options)


@pytest.mark.parametrize("total", [300, None])
def test_drawing_while_it_grows_ends_in_the_same_picture(total: float | None) -> None:
    history, options = MetricHistory(), Options("Loss", x_total=total)
    figure = Figure(history)
    values = np.random.default_rng(3).uniform(0.1, 1.0, 300)
    history.append("train", 0, 0.1)
    history.append("train", 0, 1.0)
    for step, value in enumerate(values):
        history.append("train", step, value)
        if step % 7 == 0:
            figure.draw(50, 12, options)
    assert rows_of(figure.draw(50, 12, options)) == draw(history, 50, 12, options)


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (3, 2), (8, 3), (15, 4), (20, 5), (31, 9), (200, 60)])
def test_every_size_can_be_drawn(size: tuple[int, int]) -> None:
    options = Options("Loss", "step", baselines=(Baseline("mean output", 0.5),), log_x=True)
    picture = Figure(history_of([0.5, 0.25, 0.125], [0.5])).draw(*size, options)
    assert picture.size == size
    assert all(len(row) == size[0] for row in rows_of(picture))


def test_twenty_by_five_still_shows_title_axis_and_line() -> None:
    rows = draw(history_of([1.0, 0.0]), 20, 5, Options("Loss", x_total=100))
    assert rows[0].startswith("Loss")
    assert "┤" in rows[1]
    assert rows[4].split() == ["0", "50", "100"]


@settings(deadline=None)
@given(
    train=st.lists(anything, max_size=30),
    log_x=st.booleans(),
    log_y=st.booleans(),
    ascii_only=st.booleans(),
    baseline=anything,
    total=st.one_of(st.none(), anything),
)
def test_nothing_that_a_run_may_send_breaks_the_drawing(
    train: list[float], log_x: bool, log_y: bool, ascii_only: bool, baseline: float, total: float | None
) -> None:
    options = Options("Loss", "step", total, log_x, log_y, (Baseline("b", baseline),), ascii_only)
    rows = draw(history_of(train, train[::2]), 50, 11, options)
    assert len(rows) == 11
    assert all(len(row) == 50 for row in rows)
