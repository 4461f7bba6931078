"""The crossover on screen 5: the curves with a cursor, what was found in words, and how far to search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from distill_core.errors import DistillError
from distill_core.latency.crossover import (
    Bracket,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverStarted,
    case_name,
)
from distill_core.latency.events import MachineRecord
from distill_core.latency.measurement import DEFAULT_MAX_HEADS, CrossoverSettings
from distill_tui.charts.axes import Axis, log_axis
from distill_tui.charts.still_chart import SUBCELLS, Canvas, StillChart, canvas_between, dots_along
from distill_tui.jobs import JobState
from distill_tui.latency.desk import MeasurementView
from distill_tui.text import (
    bracket_words,
    case_words,
    doubts,
    doubts_in_full,
    ended_words,
    expectations,
    machine_words,
    point_words,
)

FIXED, GROWN = "F", "G"
FIXED_BRACKET, GROWN_BRACKET = "░", "▒"
CURSOR, LINE = "│", "·"
FEWEST_ROWS = 4


class CrossoverChart(StillChart):
    """Three curves at one batch size on log axes, both brackets shaded, and a cursor at one measured N."""

    result: reactive[CrossoverFinished | None] = reactive(None)
    batch_size: reactive[int] = reactive(1)
    cursor: reactive[int] = reactive(0)
    """The N that is read; it stands at the measured one nearest to it."""

    def points(self) -> list[CrossoverPoint]:
        """Return what is shown, by ascending N."""
        curve = () if self.result is None else self.result.curve
        return [point for point in curve if point.batch_size == self.batch_size]

    def point_at_cursor(self) -> CrossoverPoint | None:
        """Return the point that is read; None where there is none."""
        points = self.points()
        return min(points, key=lambda point: abs(np.log(point.num_heads / max(self.cursor, 1))), default=None)

    def move_cursor(self, steps: int) -> None:
        """Go to the next N to the right, or to the left."""
        heads = [point.num_heads for point in self.points()]
        present = self.point_at_cursor()
        if present is not None:
            index = heads.index(present.num_heads) + steps
            self.cursor = heads[min(max(index, 0), len(heads) - 1)]

    def brackets(self) -> list[tuple[str, Bracket]]:
        """Return the shade and the bracket of both students at this batch size."""
        if self.result is None:
            return []
        case = case_name(self.batch_size)
        both = ((FIXED_BRACKET, self.result.fixed), (GROWN_BRACKET, self.result.grown))
        return [(shade, brackets[case]) for shade, brackets in both if case in brackets]

    def draw(self, width: int, height: int) -> str | None:
        """Return the picture, or None without room or points."""
        points = self.points()
        if not points:
            return None
        axes = _axes(points)
        canvas = canvas_between(axes, (width, height), FEWEST_ROWS)
        if canvas is None:
            return None
        for shade, bracket in self.brackets():
            _shade(canvas, axes[0], bracket, shade)
        present = self.point_at_cursor()
        if present is not None:
            (column,) = dots_along(axes[0], [present.num_heads], canvas.across)
            canvas.figure.scatter([column] * canvas.down, list(range(canvas.down)), marker=CURSOR)
        _draw_curves(canvas, points, axes)
        return "\n".join(canvas.lines())

    def describe(self) -> str:
        """Return the brackets in words."""
        brackets = [bracket_words(bracket) for _shade, bracket in self.brackets()]
        return "\n".join(brackets) or "no curves yet"

    def note(self) -> str:
        """Return what the marks are."""
        if not self.points():
            return ""
        shades = [
            name for (shade, bracket), name in zip(self.brackets(), _names(), strict=False) if bracket.reached
        ]
        return "  ".join(["█ LDA", f"{FIXED} this student", f"{GROWN} grown", *shades, "both axes log"])


def _names() -> tuple[str, str]:
    return f"{FIXED_BRACKET} bracket of {FIXED}", f"{GROWN_BRACKET} of {GROWN}"


def _axes(points: Sequence[CrossoverPoint]) -> tuple[Axis, Axis]:
    times = [time for point in points for time in (point.lda_us, point.fixed.us, point.grown.us)]
    return log_axis(points[0].num_heads, points[-1].num_heads), log_axis(min(times), max(times))


def _draw_curves(canvas: Canvas, points: Sequence[CrossoverPoint], axes: tuple[Axis, Axis]) -> None:
    """Draw the lines first, so that none hides a mark."""
    across = dots_along(axes[0], [point.num_heads for point in points], canvas.across)
    lda, fixed, grown = (
        dots_along(axes[1], times, canvas.down)
        for times in (
            [point.lda_us for point in points],
            [point.fixed.us for point in points],
            [point.grown.us for point in points],
        )
    )
    for down in (fixed, grown):
        canvas.figure.plot(across, down, marker=LINE)
    canvas.figure.plot(across, lda, marker="hd")
    for down, mark in ((grown, GROWN), (fixed, FIXED)):
        canvas.figure.scatter(across, down, marker=mark)


def _shade(canvas: Canvas, axis: Axis, bracket: Bracket, shade: str) -> None:
    if bracket.high is None:
        return
    low, high = dots_along(axis, [bracket.low or bracket.high, bracket.high], canvas.across)
    for column in np.arange(low, high + SUBCELLS / 2).tolist():
        canvas.figure.scatter([column] * canvas.down, list(range(canvas.down)), marker=shade)


class CrossoverPane(Container):
    """Brackets, arithmetic and published claims beside the curves; below, the values at the cursor."""

    DEFAULT_CSS = """
    CrossoverPane { layout: vertical; }
    CrossoverPane > #crossover-body { layout: vertical; height: 1fr; }
    CrossoverPane #crossover-words { height: auto; }
    CrossoverPane > #crossover-cursor { height: auto; }
    """

    view: reactive[MeasurementView] = reactive(MeasurementView(), init=False)

    def compose(self) -> ComposeResult:
        """Lay out words, curves and the values at the cursor."""
        with Container(id="crossover-body"):
            yield Static("", id="crossover-words")
            yield CrossoverChart(id="crossover-chart")
        yield Static("", id="crossover-cursor", markup=False)

    def on_mount(self) -> None:
        """Say so that there is nothing yet."""
        self.watch_view(self.view)

    def watch_view(self, view: MeasurementView) -> None:
        """Show a search, once it has ended."""
        chart = self.query_one(CrossoverChart)
        if view.finished is not None and view.finished is not chart.result:
            chart.result = view.finished
            sizes = _sizes(view)
            chart.batch_size = chart.batch_size if chart.batch_size in sizes else sizes[0]
            bracket = view.finished.fixed[case_name(chart.batch_size)]
            chart.cursor = bracket.high or bracket.measured_to
        elif view.finished is None:
            chart.result = None
        self._update()

    def switch_batch(self) -> None:
        """Show the next batch size that was measured."""
        sizes = _sizes(self.view)
        if sizes:
            chart = self.query_one(CrossoverChart)
            chart.batch_size = sizes[(sizes.index(chart.batch_size) + 1) % len(sizes)]
            self._update()

    def move_cursor(self, steps: int) -> None:
        """Read the next N to the right, or to the left."""
        self.query_one(CrossoverChart).move_cursor(steps)
        self._update()

    def _update(self) -> None:
        view, chart = self.view, self.query_one(CrossoverChart)
        self.border_title = f"Crossover over N heads, {case_words(chart.batch_size)}, µs a query"
        self.border_subtitle = "b batch size  ← → read values  v view" if view.finished else ""
        words = self.query_one("#crossover-words", Static)
        words.update(_words(view, chart.batch_size))
        words.tooltip = doubts_in_full(_machine(view), unsteady=_is_unsteady(view)) or None
        present = chart.point_at_cursor()
        self.query_one("#crossover-cursor", Static).update(point_words(present) if present else "")


def _sizes(view: MeasurementView) -> list[int]:
    return sorted({point.batch_size for point in view.finished.curve}) if view.finished else []


def _words(view: MeasurementView, batch_size: int) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column()
    for label, words in _progress(view):
        table.add_row(label, Text(words, "bold"))
    result = view.finished
    if result is not None:
        case = case_name(batch_size)
        student = "run's student" if view.run else "trained student" if view.trained else "this student"
        table.add_row(f"F {student}", Text(bracket_words(result.fixed[case]), "bold"))
        table.add_row("G grown, H^L >= N", Text(bracket_words(result.grown[case]), "bold"))
    if view.started is not None:
        for label, words in expectations(view.started):
            table.add_row(label, words)
    if doubtful := doubts(_machine(view), unsteady=_is_unsteady(view)):
        table.add_row("doubtful", Text(doubtful, "bold"))
    elif (machine := _machine(view)) is not None:
        table.add_row("machine", Text(machine_words(machine), no_wrap=True, overflow="ellipsis"))
    if result is not None:
        table.add_row("search", ended_words(result))
    return table


def _machine(view: MeasurementView) -> MachineRecord | None:
    """Return where it was, or is, measured; a stored search has no start."""
    known: CrossoverStarted | CrossoverFinished | None = view.started or view.finished
    return None if known is None else known.machine


def _is_unsteady(view: MeasurementView) -> bool:
    return view.finished is not None and view.finished.unsteady


def _progress(view: MeasurementView) -> list[tuple[str, str]]:
    if view.state is JobState.FAILED:
        return [("failed", view.error)]
    if view.state is JobState.STOPPED and view.finished is None:
        return [("stopped", "before the first point; x searches again")]
    if view.state is JobState.IDLE and view.finished is None:
        return [("crossover", "x searches it; X asks for a time budget and a largest N first")]
    if view.state.is_active and view.progress is None:
        return [("searching", "warming up and timing; nothing is drawn meanwhile but the progress")]
    if view.state.is_active and view.progress is not None:
        point = view.progress
        done = f"{point.elapsed_seconds:.0f} of {point.budget_seconds:.0f} s"
        return [("searching", f"N {point.num_heads:,}, {case_words(point.batch_size)}, {done}")]
    return []


Check = Callable[[CrossoverSettings], object]


class CrossoverDialog(ModalScreen[CrossoverSettings | None]):
    """Ends with settings that passed the check, or None.

    Args:
        settings: What stands there at first.
        check: Raises a `DistillError` for what cannot be done, such as more heads than fit in memory.
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", id="crossover.cancel")]

    def __init__(self, settings: CrossoverSettings, check: Check) -> None:
        super().__init__()
        self._settings = settings
        self._check = check

    def compose(self) -> ComposeResult:
        """Lay out both fields above what is wrong with them."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Search for the crossover"
            yield Label("Time budget, seconds", classes="caption")
            yield Input(f"{self._settings.budget_seconds:g}", compact=True, id="budget")
            yield Label("Largest N, heads", classes="caption")
            yield Input(f"{self._settings.max_heads or DEFAULT_MAX_HEADS:,}", compact=True, id="max-heads")
            yield Label("enter starts, tab next field, esc cancels", id="crossover-note", classes="caption")

    @on(Input.Submitted)
    def _take(self) -> None:
        seconds, heads = (self.query_one(place, Input).value for place in ("#budget", "#max-heads"))
        try:
            settings = typed_settings(seconds, heads)
            self._check(settings)
        except DistillError as error:
            self.query_one("#crossover-note", Label).update(str(error))
        else:
            self.dismiss(settings)


def typed_settings(seconds: str, heads: str) -> CrossoverSettings:
    """Read what was typed; digits may be grouped by commas, and an empty field is the default.

    Raises:
        SettingsError: Names the field, `budget_seconds` or `max_heads`.
    """
    defaults = CrossoverSettings()
    budget, count = seconds.strip(), heads.replace(",", "").replace("_", "").strip()
    try:
        budget_seconds = float(budget or defaults.budget_seconds)
    except ValueError:
        budget_seconds = math.nan
    max_heads = int(count or DEFAULT_MAX_HEADS) if (count or "0").isdecimal() else 0
    return CrossoverSettings(
        budget_seconds=budget_seconds, max_heads=None if max_heads == DEFAULT_MAX_HEADS else max_heads
    )
