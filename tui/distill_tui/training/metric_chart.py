"""A live chart of one metric that draws itself line by line and repaints only what changed."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from time import monotonic
from typing import ClassVar, Literal

import numpy as np
from rich.console import Console
from rich.segment import Segment, Segments
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from distill_tui.charts.braille import Picture
from distill_tui.charts.figure import Figure, value_at
from distill_tui.charts.history import RUN_NAMES, MetricHistory
from distill_tui.charts.plot import Baseline, Options

SMALLEST_PART = 1 / 64


class MetricChart(Widget):
    """Training and validation values of one metric over the steps, with baselines to compare with.

    Append to the history and call `refresh_data`, both in the thread of the user interface. The chart then
    redraws at most every `REDRAW_SECONDS`, refreshes only the rows that differ, and does nothing while it
    is hidden or another screen lies on top; it catches up when it comes back. An idle chart has no timer.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "metric-chart--axis",
        "metric-chart--title",
        "metric-chart--baseline",
        "metric-chart--faint",
        "metric-chart--train",
        "metric-chart--validation",
        *(f"metric-chart--run_{number}" for number in RUN_NAMES),
    }
    DEFAULT_CSS = """
    MetricChart {
        width: 1fr;
        height: 1fr;
        & > .metric-chart--axis { color: $text-muted; }
        & > .metric-chart--title { color: $foreground; text-style: bold; }
        & > .metric-chart--baseline { color: $foreground; }
        & > .metric-chart--faint { color: $text-disabled; }
        & > .metric-chart--train { color: $text-primary; }
        & > .metric-chart--validation { color: $text-warning; }
        & > .metric-chart--run_1 { color: $text-primary; }
        & > .metric-chart--run_2 { color: $text-warning; }
        & > .metric-chart--run_3 { color: $text-success; }
        & > .metric-chart--run_4 { color: $text-error; }
        & > .metric-chart--run_5 { color: $text-accent; }
        & > .metric-chart--run_6 { color: $foreground; }
    }
    """
    ALLOW_SELECT = False
    REDRAW_SECONDS: ClassVar[float] = 0.4
    LEGEND_SECONDS: ClassVar[float] = 1.0

    history: reactive[MetricHistory] = reactive(MetricHistory)
    title: reactive[str] = reactive("")
    x_label: reactive[str] = reactive("step")
    x_total: reactive[float | None] = reactive(None)
    """The last step, if it is known: the x axis then never moves."""
    log_x: reactive[bool] = reactive(False)
    log_y: reactive[bool] = reactive(False)
    baselines: reactive[tuple[Baseline, ...]] = reactive(())
    ascii: reactive[bool] = reactive(False)
    """Whether to do without braille, for fonts that lack it."""
    window: reactive[int] = reactive(1)
    """Over about how many points the lines are smoothed; what is not is drawn faintly below."""
    cursor: reactive[float | None] = reactive(None)
    """Where the values are read, in place of at the end."""
    x_range: reactive[tuple[float, float] | None] = reactive(None)
    """The part that is shown; all of it is None."""
    best: reactive[Literal["", "low", "high"]] = reactive("")
    """Which values are the better ones."""

    def __init__(
        self,
        title: str = "",
        *,
        x_label: str = "step",
        ascii: bool = False,  # noqa: A002
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(MetricChart.title, title)
        self.set_reactive(MetricChart.x_label, x_label)
        self.set_reactive(MetricChart.ascii, ascii)
        self._figure: Figure | None = None
        self._picture: Picture | None = None
        self._drawn: tuple[Options, int] | None = None
        """The options and the revision of the history that the picture shows."""
        self._drawn_beat = -1.0
        self._legend_drawn_at = float("-inf")
        self._legend_is_late = False
        self._timer: Timer | None = None

    def watch_history(self) -> None:
        """Start over with another history."""
        self._figure = None
        self._legend_drawn_at = float("-inf")

    def on_mount(self) -> None:
        """Listen for screens that come and go on top of this one."""
        self.app.screen_change_signal.subscribe(self, lambda _screen: self.refresh_data())

    def on_show(self) -> None:
        """Catch up with what was missed while hidden."""
        self.refresh_data()

    def refresh_data(self) -> None:
        """Show what the history holds now: at once, or in the next beat if this one had its drawing.

        The beats are those of the clock, so that charts side by side are painted together.
        """
        if self._timer is not None or not self._is_behind:
            return
        if monotonic() // self.REDRAW_SECONDS > self._drawn_beat:
            self._repaint_changes()
        else:
            self._wait_for_next_beat()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Redraw first if a reactive or the size has changed, then render as ever."""
        self._draw_if_outdated()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """Return one row of the picture."""
        if self._picture is None or y >= self._picture.height:
            return Strip.blank(self.size.width)
        segments = [
            Segment(text, self.get_visual_style(f"metric-chart--{role.name.lower()}").rich_style)
            for text, role in self._picture.runs(y)
        ]
        return Strip(segments, self._picture.width)

    @property
    def options(self) -> Options:
        """What the chart is set to show, as one comparable value."""
        return Options(
            title=self.title,
            x_label=self.x_label,
            x_total=self.x_total,
            log_x=self.log_x,
            log_y=self.log_y,
            baselines=self.baselines,
            ascii=self.ascii,
            window=self.window,
            cursor=self.cursor,
            x_range=self.x_range,
            best=self.best,
        )

    def cursor_moved(self, cells: int) -> float | None:
        """Return the position to read `cells` columns further on, of those in which there are points.

        None without a point. A cursor that is not there yet comes from the end.
        """
        positions = self.history.positions()
        if not positions.size:
            return None
        axis = Figure(self.history).x_axis(self.options)
        fractions = axis.fractions(positions, clip=False)
        columns = np.floor(np.nan_to_num(fractions, nan=-1.0) * max(self.size.width, 1))
        last_of_column = positions[np.append(np.diff(columns) > 0, True)]
        at = last_of_column.size if self.cursor is None else np.searchsorted(last_of_column, self.cursor)
        return float(last_of_column[np.clip(at + cells, 0, last_of_column.size - 1)])

    def part(self, factor: float) -> tuple[float, float] | None:
        """Return what to show with `factor` times as much in view: with the cursor, or else the end, in it.

        None is all of it; the smallest part is a 64th.
        """
        whole = Figure(self.history).x_axis(replace(self.options, x_range=None, log_x=False))
        low, high = self.x_range or (whole.low, whole.high)
        width = max((high - low) * factor, (whole.high - whole.low) * SMALLEST_PART)
        if width >= whole.high - whole.low:
            return None
        if self.cursor is None:
            positions = self.history.positions()
            low = min(high, float(positions[-1]) if positions.size else high) - width
        elif factor != 1 or not low <= self.cursor <= high:
            low = self.cursor - width / 2
        low = min(max(low, whole.low), whole.high - width)
        return low, low + width

    def svg(self) -> str:
        """Return the chart as it is drawn now, alone."""
        console = Console(
            width=self.size.width, file=StringIO(), record=True, force_terminal=True, color_system="truecolor"
        )
        for row in range(self.size.height):
            console.print(Segments(self.render_line(row)))
        return console.export_svg(title=self.title)

    def values_at_cursor(self) -> dict[str, float]:
        """Return the value of each series at the cursor, or at the end."""
        return {
            name: value_at(series, self.cursor)
            for name in self.history.names
            if (series := self.history[name]).count
        }

    @property
    def _is_visible(self) -> bool:
        return bool(self.size) and self.screen.is_active

    @property
    def _is_behind(self) -> bool:
        """Whether a drawing would show something new to somebody."""
        if self._picture is None:
            return False
        is_new = self._legend_is_late or self._drawn != (self.options, self.history.revision)
        return is_new and self._is_visible

    def _wait_for_next_beat(self) -> None:
        wait_seconds = self.REDRAW_SECONDS - monotonic() % self.REDRAW_SECONDS
        self._timer = self.set_timer(wait_seconds, self._end_wait)

    def _end_wait(self) -> None:
        self._timer = None
        if self._is_behind:
            self._repaint_changes()

    def _repaint_changes(self) -> None:
        """Draw, and refresh the rows that look different now, up to their last changed cell."""
        previous, drawn = self._picture, self._drawn
        picture = self._draw()
        if previous is None or previous.size != picture.size:
            self.refresh()
            return
        if drawn is not None and drawn[0] == self.options:
            self._hold_legend(picture, previous)
        if changes := picture.changes(previous):
            self.refresh(*[Region(span.start, span.row, span.end - span.start, 1) for span in changes])

    def _hold_legend(self, picture: Picture, previous: Picture) -> None:
        """Leave the last values as they are until their time has come: nobody reads five a second."""
        now = monotonic()
        if now - self._legend_drawn_at >= self.LEGEND_SECONDS:
            self._legend_drawn_at = now
            return
        self._legend_is_late = picture.keep_row(0, previous)
        if self._legend_is_late and self._timer is None:
            self._wait_for_next_beat()

    def _draw_if_outdated(self) -> None:
        is_current = self._picture is not None and self._picture.size == self.size
        if self._figure is None or not is_current or self._drawn is None or self._drawn[0] != self.options:
            self._draw()
            self._legend_drawn_at = monotonic()

    def _draw(self) -> Picture:
        if self._figure is None:
            self._figure = Figure(self.history)
        self._drawn = (self.options, self.history.revision)
        self._drawn_beat = monotonic() // self.REDRAW_SECONDS
        self._legend_is_late = False
        self._picture = self._figure.draw(self.size.width, self.size.height, self.options)
        return self._picture
