from __future__ import annotations

import math
from typing import ClassVar, Self

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.timer import Timer, TimerCallback

from distill_tui.charts.history import MetricHistory
from distill_tui.charts.plot import Baseline
from distill_tui.training import metric_chart
from distill_tui.training.metric_chart import MetricChart

FOREVER = 1e9


class WatchedChart(MetricChart):
    """A chart that draws whenever it is asked to, and notes what it refreshes and renders."""

    REDRAW_SECONDS: ClassVar[float] = 1e-9
    LEGEND_SECONDS: ClassVar[float] = 0.0

    def __init__(self, title: str) -> None:
        self.refreshed: list[tuple[Region, ...]] = []
        self.rendered: list[int] = []
        super().__init__(title)

    def refresh(self, *regions: Region, **how: bool) -> Self:
        self.refreshed.append(regions)
        return super().refresh(*regions, **how)

    def render_line(self, y: int) -> Strip:
        self.rendered.append(y)
        return super().render_line(y)

    def forget(self) -> None:
        self.refreshed.clear()
        self.rendered.clear()

    @property
    def rows(self) -> list[str]:
        return [super(WatchedChart, self).render_line(y).text for y in range(self.size.height)]


class SlowChart(WatchedChart):
    """A chart whose beat and legend never come again."""

    REDRAW_SECONDS: ClassVar[float] = FOREVER
    LEGEND_SECONDS: ClassVar[float] = FOREVER


class SlowLegendChart(WatchedChart):
    LEGEND_SECONDS: ClassVar[float] = FOREVER


class ChartApp(App[None]):
    def __init__(self, chart: WatchedChart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


def chart_of(count: int = 0, chart_class: type[WatchedChart] = WatchedChart) -> WatchedChart:
    chart = chart_class("Loss")
    chart.x_total = 1000
    feed(chart, 0, count)
    return chart


def feed(chart: MetricChart, start: int, count: int) -> None:
    x = np.arange(start, start + count, dtype=np.float64)
    chart.history.extend("train", x, 1 / (1 + x / 100))


async def test_one_point_refreshes_few_rows_and_never_the_whole_chart() -> None:
    chart = chart_of(500)
    async with ChartApp(chart).run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        chart.forget()
        feed(chart, 500, 4)
        chart.refresh_data()
        assert len(chart.refreshed) == 1
        (regions,) = chart.refreshed
        assert 1 <= len(regions) <= 3
        assert all(region.height == 1 for region in regions)
        await pilot.pause()
        assert set(chart.rendered) == {region.y for region in regions}


async def test_nothing_new_is_nothing_to_do() -> None:
    chart = chart_of(500)
    async with ChartApp(chart).run_test() as pilot:
        await pilot.pause()
        chart.forget()
        chart.refresh_data()
        await pilot.pause()
        assert chart.refreshed == []
        assert chart.rendered == []


async def test_a_hidden_chart_does_nothing_and_catches_up_when_shown() -> None:
    chart = chart_of(100)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        chart.display = False
        await pilot.pause()
        chart.forget()
        feed(chart, 100, 50)
        chart.refresh_data()
        await pilot.pause()
        assert chart.refreshed == []
        chart.display = True
        await pilot.pause()
        assert f"train {1 / (1 + 149 / 100):.4g}" in chart.rows[0]


@pytest.mark.parametrize("screen_class", [Screen, ModalScreen])
async def test_under_another_screen_it_waits(screen_class: type[Screen[None]]) -> None:
    chart = chart_of(100)
    app = ChartApp(chart)
    async with app.run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        await app.push_screen(screen_class())
        await pilot.pause()
        chart.forget()
        feed(chart, 100, 50)
        chart.refresh_data()
        await pilot.pause()
        assert chart.refreshed == []
        before = chart.rows
        await app.pop_screen()
        await pilot.pause()
        assert chart.rows != before
        assert all(regions for regions in chart.refreshed)


async def test_a_chart_that_was_removed_is_left_alone() -> None:
    chart = chart_of(100)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        await chart.remove()
        chart.forget()
        feed(chart, 100, 50)
        chart.refresh_data()
        assert chart.refreshed == []


async def test_within_a_beat_drawings_are_put_together() -> None:
    chart = chart_of(100, SlowChart)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        chart.forget()
        before = chart.rows
        for start in range(100, 400, 10):
            feed(chart, start, 10)
            chart.refresh_data()
        await pilot.pause()
        assert chart.refreshed == []
        assert chart.rows == before


class TimedChart(WatchedChart):
    """A chart whose timers are kept for the test to end."""

    REDRAW_SECONDS: ClassVar[float] = 0.25
    LEGEND_SECONDS: ClassVar[float] = 1.0

    def __init__(self, title: str) -> None:
        self.timers: list[tuple[float, TimerCallback]] = []
        super().__init__(title)

    def set_timer(self, delay: float, callback: TimerCallback | None = None, **_how: object) -> Timer:
        assert callback is not None
        self.timers.append((delay, callback))
        return Timer(self, delay)


async def test_a_beat_later_everything_is_shown_and_then_no_timer_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(metric_chart, "monotonic", lambda: now)
    chart = chart_of(100, TimedChart)
    assert isinstance(chart, TimedChart)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        now = 100.125
        for start in (100, 200, 300):
            feed(chart, start, 100)
            chart.refresh_data()
        assert [delay for delay, _ in chart.timers] == [0.125]
        beats = 0
        while chart.timers:
            delay, end_wait = chart.timers.pop()
            now += delay
            end_wait()
            beats += 1
            assert len(chart.timers) <= 1
            assert ("train 0.2004" in chart.rows[0]) == (now >= 101.0)
        assert beats == 4


async def test_the_last_values_wait_for_their_time_but_the_line_does_not() -> None:
    chart = chart_of(100, SlowLegendChart)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        legend, lines = chart.rows[0], chart.rows[1:]
        feed(chart, 100, 300)
        chart.refresh_data()
        assert chart.rows[0] == legend
        assert chart.rows[1:] != lines
        chart.log_y = True
        await pilot.pause()
        assert "train 0.2004" in chart.rows[0]


async def test_nan_is_a_gap_and_the_chart_goes_on() -> None:
    chart = chart_of(300)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        chart.history.extend("train", (300, 400, 500), (math.nan, math.nan, 0.5))
        chart.refresh_data()
        await pilot.pause()
        assert "2 NaN or inf" in chart.rows[0]
        assert "train 0.5" in chart.rows[0]


async def test_a_resize_is_followed() -> None:
    chart = chart_of(300)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        for width, height in ((60, 20), (20, 5), (5, 2), (1, 1), (120, 40)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert chart.size == (width, height)
            assert [len(row) for row in chart.rows] == [width] * height
        assert chart.rows[0].startswith("Loss")


async def test_scales_can_be_toggled() -> None:
    chart = chart_of(300)
    chart.history.append("train", 300, 0.0)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        linear = chart.rows
        assert "not shown" not in linear[0]
        chart.log_y = True
        await pilot.pause()
        assert "Loss (log)" in chart.rows[0]
        assert "1 value ≤ 0 not shown" in chart.rows[0]
        chart.log_x = True
        await pilot.pause()
        assert chart.rows[-1].split() == ["step", "1", "10", "100", "1k"]
        chart.log_x = chart.log_y = False
        await pilot.pause()
        assert chart.rows == linear


async def test_ascii_needs_no_special_font() -> None:
    chart = chart_of(300)
    chart.baselines = (Baseline("ridge", 0.4),)
    chart.ascii = True
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        assert all(row.isascii() for row in chart.rows)
        assert "ridge" in "".join(chart.rows)


async def test_baselines_that_come_later_are_drawn() -> None:
    chart = chart_of(300)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        chart.baselines = (Baseline("mean output", 0.7),)
        await pilot.pause()
        assert any(row.endswith("mean output .700") for row in chart.rows)


async def test_another_history_replaces_the_old_one() -> None:
    chart = chart_of(300)
    async with ChartApp(chart).run_test(size=(80, 12)) as pilot:
        await pilot.pause()
        other = MetricHistory()
        other.append("validation", 5, 0.125)
        chart.history = other
        await pilot.pause()
        assert "train" not in chart.rows[0]
        assert "validation 0.125" in chart.rows[0]


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark"])
async def test_every_line_has_a_style_of_its_own(theme: str) -> None:
    chart = chart_of(300)
    chart.history.append("validation", 100, 0.9)
    app = ChartApp(chart)
    async with app.run_test(size=(80, 12)) as pilot:
        app.theme = theme
        await pilot.pause()
        title, train, validation, *_ = chart.render_line(0)
        colours = {segment.style.color for segment in (title, train, validation) if segment.style}
        assert len(colours) == 3


async def test_two_charts_share_nothing() -> None:
    class TwoCharts(App[None]):
        def compose(self) -> ComposeResult:
            yield WatchedChart("Loss")
            yield WatchedChart("Cosine")

    app = TwoCharts()
    async with app.run_test(size=(80, 24)) as pilot:
        loss, cosine = app.query(WatchedChart)
        feed(loss, 0, 10)
        loss.refresh_data()
        await pilot.pause()
        assert "train" in loss.rows[0]
        assert "no values yet" in "".join(cosine.rows)
