from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from distill_tui.charts.still_chart import StillChart
from distill_tui.latency.tables import BarChart, bar_axis
from distill_tui.validation.histogram import Histogram, Mark

NAN, INF = math.nan, math.inf
anything = st.floats(allow_nan=True, allow_infinity=True)
sizes = st.tuples(st.integers(-1, 250), st.integers(-1, 70))
LATENCIES = (("LDA", 12.3), ("student", 455.0), ("ridge", 3.2))


class ChartApp(App[None]):
    def __init__(self, chart: StillChart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


def lines_of(chart: StillChart, width: int, height: int) -> list[str]:
    picture = chart.draw(width, height)
    assert picture is not None
    return picture.split("\n")


def bar_lengths(lines: list[str]) -> dict[str, float]:
    """Return the cells of the bar beside each label, halves included."""
    return {line.split()[0]: line.count("█") + line.count("▌") / 2 for line in lines if "┤" in line}


def test_equal_counts_make_equal_columns() -> None:
    values = [number / 40 + 1 / 80 for number in range(40)]
    lines = lines_of(Histogram(values, bins=10), 44, 10)
    inside = [line[3:43] for line in lines[1:8]]
    assert inside == ["█" * 40] * 7


def test_counts_are_heights() -> None:
    lines = lines_of(Histogram([0.0, 0.0, 0.0, 0.0, 1.0, 1.0], bins=2), 23, 11)
    inside = [line[2:22] for line in lines[1:9]]
    assert inside[0] == "█" * 10 + " " * 10
    assert inside[4] == "█" * 20
    assert inside[2] == "█" * 10 + " " * 10


def test_marks_are_drawn_and_named() -> None:
    values = np.linspace(0, 1, 101).tolist()
    marks = (Mark("mean", 0.5), Mark("expected", 0.52), Mark("gone", NAN))
    text = "\n".join(lines_of(Histogram(values, marks=marks, bins=5), 80, 20))
    assert " mean 0.5 " in text
    assert " expected 0.52 " in text
    assert "gone" not in text
    assert text.split("\n")[-2].count("┴") == 2


def test_a_mark_outside_of_the_values_widens_the_axis() -> None:
    last = lines_of(Histogram([0.1, 0.2], marks=(Mark("limit", 1.0),)), 80, 12)[-1]
    assert last.split()[-1] == "1"


@pytest.mark.parametrize("values", [(), (NAN,), (INF, -INF)])
def test_a_histogram_of_nothing_says_so(values: tuple[float, ...]) -> None:
    chart = Histogram(values)
    assert chart.draw(80, 20) is None
    assert chart.describe() == "no values"
    assert chart.note() == (f"{len(values)} NaN or inf" if values else "")


@pytest.mark.parametrize("values", [(0.5,), (0.0,), (3.0,) * 9, (1e300,), (-1e-310,)])
def test_constant_values_are_one_column(values: tuple[float, ...]) -> None:
    lines = lines_of(Histogram(values), 60, 12)
    filled = {x for line in lines[1:9] for x, cell in enumerate(line) if cell == "█"}
    assert len(filled) == 1


def test_without_room_a_histogram_is_told_in_words() -> None:
    chart = Histogram([1.0, 2.0, NAN])
    assert chart.draw(12, 3) is None
    assert chart.describe() == "2 values, 1 to 2"


@settings(deadline=None, max_examples=60)
@given(values=st.lists(anything, max_size=40), marks=st.lists(anything, max_size=3), size=sizes)
def test_a_histogram_stays_in_its_size(
    values: list[float], marks: list[float], size: tuple[int, int]
) -> None:
    chart = Histogram(values, marks=tuple(Mark("mark", value) for value in marks))
    picture = chart.draw(*size)
    if picture is not None:
        assert len(picture.split("\n")) == size[1]
        assert max(map(len, picture.split("\n"))) <= size[0]


def test_a_chart_may_be_larger_than_the_terminal_it_was_imported_in() -> None:
    lines = lines_of(Histogram([0.0, 1.0], bins=400), 300, 90)
    assert (len(lines), len(lines[0])) == (90, 300)


def test_bars_are_as_long_as_their_values() -> None:
    chart = BarChart([("half", 50.0), ("whole", 100.0), ("none", 0.0)])
    lengths = bar_lengths(lines_of(chart, 70, 12))
    assert lengths["none"] == 0
    assert lengths["whole"] == pytest.approx(2 * lengths["half"], abs=1)


def test_log_bars_show_ratios() -> None:
    chart = BarChart([("a", 1.0), ("b", 10.0), ("c", 100.0)], log=True)
    lengths = bar_lengths(lines_of(chart, 90, 12))
    assert lengths["c"] - lengths["b"] == pytest.approx(lengths["b"] - lengths["a"], abs=1)
    assert lengths["a"] > 0
    assert chart.note() == "log scale"


@pytest.mark.parametrize("height", [6, 7, 9, 12, 20])
def test_every_label_stands_at_its_bar_with_its_value(height: int) -> None:
    lines = lines_of(BarChart(LATENCIES, unit="µs"), 70, height)
    labelled = [line.split("┤")[0].split() for line in lines if "┤" in line]
    assert labelled == [["LDA", "12.3", "µs"], ["student", "455", "µs"], ["ridge", "3.2", "µs"]]
    assert all(line.split("┤")[1][0] in "█▌" for line in lines if "┤" in line)


def test_values_without_a_bar_keep_their_row_and_are_counted() -> None:
    chart = BarChart([("a", 1.0), ("zero", 0.0), ("broken", NAN)], log=True)
    lengths = bar_lengths(lines_of(chart, 60, 12))
    assert lengths["zero"] == lengths["broken"] == 0
    assert chart.note() == "log scale  2 without a bar"


def test_long_labels_are_cut_and_values_are_not() -> None:
    lines = lines_of(BarChart([("a very long name indeed, longer than the chart", 12.5)], unit="ms"), 40, 5)
    assert "…" in lines[1]
    assert "12.5 ms" in lines[1]


def test_without_room_bars_are_told_in_words() -> None:
    chart = BarChart(LATENCIES, unit="µs")
    assert chart.draw(70, 5) is None
    assert chart.describe() == "LDA 12.3 µs\nstudent 455 µs\nridge 3.2 µs"
    assert BarChart().describe() == "no values"


def test_a_thousand_microseconds_are_a_millisecond_and_a_thousand_of_those_a_second() -> None:
    times = [("a", 999.0), ("b", 1_000.0), ("c", 4_757.7), ("d", 2.5e6), ("e", math.inf)]
    words = "a 999 µs\nb 1 ms\nc 4.758 ms\nd 2.5 s\ne inf µs"
    assert BarChart(times, unit="µs").describe() == words
    assert BarChart([("n", 4_757.7)]).describe() == "n 4.758k"


@settings(deadline=None)
@given(values=st.lists(anything, max_size=6), log=st.booleans())
def test_a_bar_axis_holds_every_bar(values: list[float], log: bool) -> None:
    axis = bar_axis(values, log=log)
    assert axis.low < axis.high
    shown = [value for value in values if 1e-299 < value < 1e299]
    assert all(axis.low <= value <= axis.high for value in shown)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(anything, max_size=6), log=st.booleans(), size=sizes)
def test_a_bar_chart_stays_in_its_size(values: list[float], log: bool, size: tuple[int, int]) -> None:
    chart = BarChart([(f"name {value}", value) for value in values], unit="µs", log=log)
    picture = chart.draw(*size)
    if picture is not None:
        assert len(picture.split("\n")) <= size[1]
        assert max(map(len, picture.split("\n"))) <= size[0]


def text_of(chart: StillChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


@pytest.mark.parametrize(
    "chart_class", [lambda: Histogram([1.0, 2.0, NAN], title="T"), lambda: BarChart(LATENCIES, title="T")]
)
@pytest.mark.parametrize("size", [(80, 24), (20, 5), (6, 2), (1, 1)])
async def test_a_still_chart_fits_every_size(chart_class: type[StillChart], size: tuple[int, int]) -> None:
    chart = chart_class()
    async with ChartApp(chart).run_test(size=size) as pilot:
        await pilot.pause()
        rows = text_of(chart)
        assert len(rows) == size[1]
        assert max(map(len, rows)) <= size[0]
        assert rows[0][0] in "T…"


async def test_what_is_left_out_is_said_without_a_title_too() -> None:
    chart = Histogram([1.0, 2.0, NAN])
    async with ChartApp(chart).run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        assert text_of(chart)[0].rstrip() == "1 NaN or inf"
        chart.values = (1.0, 2.0)
        await pilot.pause()
        assert "┌" in text_of(chart)[0]


async def test_it_draws_for_data_and_size_and_for_nothing_else() -> None:
    class CountedChart(BarChart):
        drawn = 0

        def draw(self, width: int, height: int) -> str | None:
            self.drawn += 1
            return super().draw(width, height)

    chart = CountedChart(LATENCIES, title="Latency")
    async with ChartApp(chart).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        once = chart.drawn
        text_of(chart)
        chart.screen.refresh()
        await pilot.pause()
        assert chart.drawn == once
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert chart.drawn == once + 1
        chart.rows = LATENCIES[:1]
        await pilot.pause()
        assert chart.drawn == once + 2
        assert "student" not in "".join(text_of(chart))


async def test_ascii_is_ascii_and_keeps_the_shape() -> None:
    chart = Histogram([1.0, 2.0, 2.0], title="Values", marks=(Mark("mean", 1.7),))
    async with ChartApp(chart).run_test(size=(60, 14)) as pilot:
        await pilot.pause()
        before = text_of(chart)
        chart.ascii = True
        await pilot.pause()
        after = text_of(chart)
        assert all(row.isascii() for row in after)
        assert [[cell == " " for cell in row] for row in after] == [
            [cell == " " for cell in row] for row in before
        ]
