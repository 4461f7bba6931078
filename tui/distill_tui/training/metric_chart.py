"""A live chart of one metric that draws itself line by line and repaints only what changed."""

from __future__ import annotations

from time import monotonic
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from distill_core.foreign_text import visible
from distill_tui.charts.braille import Picture
from distill_tui.charts.figure import Figure
from distill_tui.charts.plot import PENS, Baseline, Options
from distill_tui.charts.history import RUN_NAMES, MetricHistory
from distill_tui.runs.desk import RunCurve


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
        )

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


class CurveLegend(Static):
    """A line a run: how its curve is drawn, its number, its name, and where it has come to."""

    COMPONENT_CLASSES = {f"curve-legend--run_{number}" for number in RUN_NAMES}
    DEFAULT_CSS = """
    CurveLegend {
        height: auto;
        display: none;
        & > .curve-legend--run_1 { color: $text-primary; }
        & > .curve-legend--run_2 { color: $text-warning; }
        & > .curve-legend--run_3 { color: $text-success; }
        & > .curve-legend--run_4 { color: $text-error; }
        & > .curve-legend--run_5 { color: $text-accent; }
        & > .curve-legend--run_6 { color: $foreground; }
    }
    """

    curves: reactive[tuple[RunCurve, ...]] = reactive(())

    def watch_curves(self, curves: tuple[RunCurve, ...]) -> None:
        """Name other curves."""
        self.display = bool(curves)
        text = Text(no_wrap=True, overflow="ellipsis")
        for name, curve in zip(RUN_NAMES, curves, strict=False):
            style = self.get_visual_style(f"curve-legend--run_{name}").rich_style
            text.append(f"{PENS[name].marker:<4}{name} ", style)
            text.append(f"{visible(curve.name)}  {_end(curve)}\n")
        text.rstrip()
        self.update(text)


def curve_history(curves: tuple[RunCurve, ...], *, of_errors: bool = False) -> MetricHistory:
    """Return the curves as what a chart draws, by number: cosines, or 1 - cosine."""
    history = MetricHistory(RUN_NAMES[: len(curves)])
    for name, curve in zip(RUN_NAMES, curves, strict=False):
        values = tuple(1 - cosine for cosine in curve.cosines) if of_errors else curve.cosines
        history.extend(name, curve.steps, values)
    return history


def last_step(curves: tuple[RunCurve, ...]) -> float:
    """Return the step at which the longest curve ends."""
    return float(max((step for curve in curves for step in curve.steps), default=1))


def _end(curve: RunCurve) -> str:
    if not curve.steps:
        return "no validated epoch yet"
    return f"{curve.cosines[-1]:.4f} at step {curve.steps[-1]:,}, best {max(curve.cosines):.4f}"
