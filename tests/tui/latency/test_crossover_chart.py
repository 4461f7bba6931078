from __future__ import annotations

import pytest

from distill_core.latency import summarised
from distill_tui.latency.crossover import CrossoverChart
from tests.tui import events

SHADE = "░"


def chart_of(*heads: int, cursor: int = 16) -> CrossoverChart:
    """Return curves that cross at 4,900 heads; the student that grows never wins below 19,900."""
    chart = CrossoverChart()
    points = [events.crossover_point(n) for n in heads]
    chart.set_reactive(CrossoverChart.result, summarised(points, ended="complete"))
    chart.set_reactive(CrossoverChart.cursor, cursor)
    return chart


def lines_of(chart: CrossoverChart, width: int = 80, height: int = 24) -> list[str]:
    picture = chart.draw(width, height)
    assert picture is not None
    return picture.split("\n")


def columns_of(lines: list[str], marks: str) -> list[int]:
    return sorted({x for line in lines[1:-2] for x, cell in enumerate(line) if cell in marks})


def test_the_students_are_level_and_the_lda_rises() -> None:
    lines = lines_of(chart_of(*(16 << power for power in range(13))))
    for mark in "FG":
        (row,) = [y for y, line in enumerate(lines) if mark in line]
        assert lines[row].count(mark) >= 10
    blocks = {x: y for y, line in enumerate(lines) for x, cell in enumerate(line) if cell in "▄▀█▖▗▘▝▙▟▛▜▞▚"}
    rows = [blocks[x] for x in sorted(blocks)]
    assert rows == sorted(rows, reverse=True)
    assert rows[0] - rows[-1] > 8


def test_equal_ratios_of_heads_are_equally_far_apart() -> None:
    """N = 10, 100, 1,000 on a log axis."""
    lines = lines_of(chart_of(10, 100, 1_000, cursor=10))
    columns = columns_of(lines, "G")
    assert len(columns) == 3
    assert columns[2] - columns[1] == pytest.approx(columns[1] - columns[0], abs=1)


def test_the_bracket_is_shaded_from_its_lower_to_its_upper_end() -> None:
    heads = [16 << power for power in range(11)]
    lines = lines_of(chart_of(*heads))
    shaded, marks = columns_of(lines, SHADE), columns_of(lines, "G")
    low, high = marks[heads.index(4_096)], marks[heads.index(8_192)]
    assert shaded[0] == pytest.approx(low, abs=1)
    assert shaded[-1] == pytest.approx(high, abs=1)


def test_without_a_crossover_nothing_is_shaded() -> None:
    chart = chart_of(16, 32, 64, 128)
    points = [events.crossover_point(n) for n in (16, 32)]
    chart.set_reactive(CrossoverChart.result, summarised(points, ended="budget"))
    words = "not reached within the budget, measured up to 32 heads"
    assert chart.describe().split("\n") == [words] * 2
    chart = chart_of(16, 32, 64, 128)
    assert SHADE not in "".join(lines_of(chart))
    assert SHADE not in chart.note()
    assert chart.describe().split("\n") == ["none up to 128 heads"] * 2


def test_the_cursor_goes_from_one_measured_n_to_the_next_and_stays_inside() -> None:
    chart = chart_of(16, 32, 64, cursor=30)
    assert chart.point_at_cursor() == events.crossover_point(32)
    seen = []
    for steps in (1, 1, -1, -1, -1):
        chart.move_cursor(steps)
        seen.append(chart.cursor)
    assert seen == [64, 64, 32, 16, 16]


@pytest.mark.parametrize(("width", "height"), [(8, 20), (80, 6), (0, 0), (-1, -1)])
def test_without_room_the_brackets_are_told_in_words(width: int, height: int) -> None:
    assert chart_of(16, 8_192).draw(width, height) is None


@pytest.mark.parametrize("heads", [(16,), (1, 2), (16, 1_048_576)])
def test_a_curve_of_few_points_stays_in_its_size(heads: tuple[int, ...]) -> None:
    for width, height in ((20, 8), (76, 11), (140, 40)):
        lines = lines_of(chart_of(*heads), width, height)
        assert len(lines) == height
        assert max(map(len, lines)) <= width


def test_nothing_measured_is_no_picture() -> None:
    chart = CrossoverChart()
    assert chart.draw(80, 24) is None
    assert (chart.describe(), chart.note(), chart.point_at_cursor()) == ("no curves yet", "", None)
