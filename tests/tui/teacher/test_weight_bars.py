from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult

from distill_tui.teacher.questions import WeightBars, bar_text, fit_label, weight_row

WEIGHTS = (("billing", 0.5), ("shipping", 0.25), ("returns", 0.0625), ("none", 0.0))


class BarsApp(App[None]):
    def __init__(self, bars: WeightBars) -> None:
        super().__init__()
        self.bars = bars

    def compose(self) -> ComposeResult:
        yield self.bars


def text_of(bars: WeightBars) -> list[str]:
    return [bars.render_line(y).text for y in range(bars.size.height)]


@pytest.mark.parametrize(
    ("share", "bar"),
    [(0.0, "    "), (1.0, "████"), (0.5, "██  "), (1 / 32, "▏   "), (0.61, "██▌ "), (1e-9, "▏   ")],
)
def test_a_bar_is_exact_to_an_eighth_of_a_cell(share: float, bar: str) -> None:
    assert bar_text(share, 4) == bar


@pytest.mark.parametrize(("share", "bar"), [(0.0, "    "), (1.0, "####"), (0.5, "##  "), (1e-9, "#   ")])
def test_an_ascii_bar_is_exact_to_a_cell(share: float, bar: str) -> None:
    assert bar_text(share, 4, ascii=True) == bar


@settings(deadline=None)
@given(share=st.floats(-1, 2), width=st.integers(0, 60), ascii_only=st.booleans())
def test_a_bar_fills_its_room(share: float, width: int, ascii_only: bool) -> None:
    assert len(bar_text(share, width, ascii=ascii_only)) == width


def test_a_longer_bar_means_more() -> None:
    lengths = [sum("▏▎▍▌▋▊▉█".index(c) + 1 for c in bar_text(s / 200, 25).strip()) for s in range(201)]
    assert lengths == list(range(201))


@pytest.mark.parametrize(
    ("label", "width", "fitted"),
    [
        ("ship", 6, "ship  "),
        ("shipping", 6, "shipp…"),
        ("配送手配", 6, "配送 …"),
        ("配送", 4, "配送"),
        ("two\nlines", 9, "two lines"),
        ("x", 0, ""),
    ],
)
def test_labels_are_padded_or_cut(label: str, width: int, fitted: str) -> None:
    assert fit_label(label, width) == fitted
    assert cell_len(fitted) == width


def test_the_largest_value_takes_all_the_room() -> None:
    rows = ["".join(weight_row(WEIGHTS, index, 32)) for index in range(4)]
    assert rows == [
        "billing  ████████████████    0.5",
        "shipping ████████           0.25",
        "returns  ██               0.0625",
        "none                           0",
    ]


def test_a_full_scale_makes_charts_comparable() -> None:
    assert weight_row(WEIGHTS, 0, 32, full_scale=1.0)[1].strip() == "█" * 8
    assert weight_row(WEIGHTS, 0, 32, full_scale=0.25)[1].strip() == "█" * 16


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.5])
def test_a_value_without_a_bar_is_still_written(value: float) -> None:
    rows = (("good", 0.5), ("odd", value))
    _, bar, text = weight_row(rows, 1, 40)
    assert bar.strip() == ""
    assert text.strip() == {math.nan: "NaN"}.get(value, str(value))
    assert weight_row(rows, 0, 40)[1].strip() != ""


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(st.text(max_size=30), st.floats()), min_size=1, max_size=5),
    width=st.integers(20, 100),
    ascii_only=st.booleans(),
)
def test_rows_are_as_wide_as_they_may_be(rows: list[tuple[str, float]], width: int, ascii_only: bool) -> None:
    for index in range(len(rows)):
        assert sum(map(cell_len, weight_row(rows, index, width, ascii=ascii_only))) == width


async def test_it_is_as_high_as_it_has_rows_and_follows_its_width() -> None:
    bars = WeightBars(WEIGHTS)
    async with BarsApp(bars).run_test(size=(32, 10)) as pilot:
        await pilot.pause()
        assert bars.size == (32, 4)
        assert text_of(bars)[1] == "shipping ████████           0.25"
        await pilot.resize_terminal(16, 10)
        await pilot.pause()
        assert text_of(bars)[1] == "shi… ██     0.25"
        bars.rows = WEIGHTS[:2]
        await pilot.pause()
        assert bars.size == (16, 2)


async def test_without_rows_it_takes_no_room() -> None:
    bars = WeightBars()
    async with BarsApp(bars).run_test(size=(32, 10)) as pilot:
        await pilot.pause()
        assert bars.size.height == 0


@pytest.mark.parametrize("width", [1, 3, 8])
async def test_a_tiny_width_does_not_break_it(width: int) -> None:
    bars = WeightBars(WEIGHTS)
    async with BarsApp(bars).run_test(size=(width, 10)) as pilot:
        await pilot.pause()
        assert [len(row) for row in text_of(bars)] == [width] * 4


async def test_ascii_needs_no_special_font() -> None:
    bars = WeightBars((("a long label that must be cut", 0.5), ("b", 0.25)), ascii=True)
    async with BarsApp(bars).run_test(size=(24, 10)) as pilot:
        await pilot.pause()
        rows = text_of(bars)
        assert all(row.isascii() for row in rows)
        assert "#" in rows[0]
