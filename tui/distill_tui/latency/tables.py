"""Measured times on screen 5: LDA and student in columns and as bars, and a table of all contestants."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import DataTable, Static

from distill_core.foreign_text import visible
from distill_core.latency.events import ContestantRow, LatencyFinished, ModelLatency
from distill_tui.charts.axes import HUGE, TINY, Axis, axis_ticks, linear_axis, log_axis, short_number
from distill_tui.charts.braille import single_cells
from distill_tui.charts.still_chart import FEWEST_COLUMNS, FRAME_ROWS, SUBCELLS, Canvas, StillChart
from distill_tui.jobs import JobState
from distill_tui.latency.desk import MeasurementView
from distill_tui.text import (
    COLUMNS,
    COSINE,
    OFFLINE,
    PARETO,
    SINGLE_STREAM,
    UNTRAINED,
    contestant_names,
    doubts,
    machine_words,
    row_cells,
)
from distill_tui.ui.table import RowTable

CELLS_PER_TICK = 12
LABEL_SHARE = 3 / 5
"""Of the width, that labels and values take at most."""
WHISKER, LOW_END, HIGH_END, BOTH_ENDS = "─", "├", "┤", "┼"

_THOUSAND = 1_000
_LARGER_UNITS = {"µs": ("ms", "s")}
"""A thousand of a unit are written in the next one."""

LabelledValue = tuple[str, float]
Interval = tuple[float, float]


class BarChart(StillChart):
    """One bar a row, its value beside its label. A value that has no bar on the scale still has its row.

    Over the end of a bar lies its interval, `├──┤`, or `┼` where it is narrower than a cell.
    """

    rows: reactive[tuple[LabelledValue, ...]] = reactive(())
    intervals: reactive[tuple[Interval | None, ...]] = reactive(())
    """Of the rows, in their order; a row without one has a bar only."""
    unit: reactive[str] = reactive("")
    log_scale: reactive[bool] = reactive(False)

    def __init__(
        self,
        rows: Sequence[LabelledValue] = (),
        *,
        title: str = "",
        unit: str = "",
        log: bool = False,
        says_log: bool = True,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._says_log = says_log
        """Whether a row above the bars says that the axis is logarithmic; not where the caller says it."""
        self.set_reactive(BarChart.rows, tuple(rows))
        self.set_reactive(BarChart.title, title)
        self.set_reactive(BarChart.unit, unit)
        self.set_reactive(BarChart.log_scale, log)

    def draw(self, width: int, height: int) -> str | None:
        """Return the bars, all of one thickness, on an axis from zero or (log) from below the smallest."""
        rows_per_bar = (height - FRAME_ROWS) // max(len(self.rows), 1)
        labels = self._labels(int(width * LABEL_SHARE))
        gutter = max((len(label) for label in labels), default=0)
        columns = width - gutter - 2
        if not self.rows or rows_per_bar < 1 or columns < FEWEST_COLUMNS:
            return None
        ends = [end for interval in self._intervals() if interval for end in interval]
        axis = bar_axis([*(value for _label, value in self.rows), *ends], log=self.log_scale)
        canvas = Canvas(columns, rows_per_bar * len(self.rows), gutter)
        thickness = max(rows_per_bar - 1, 1)
        tops = range(0, canvas.rows, rows_per_bar)
        self._draw_bars(canvas, axis, tops, thickness)
        self._draw_intervals(canvas, axis, [top + (thickness - 1) // 2 for top in tops])
        canvas.label_rows([top + (thickness - 1) // 2 for top in tops], labels)
        canvas.x_ticks(axis_ticks(axis, max(1, columns // CELLS_PER_TICK) + 1))
        return "\n".join(canvas.lines())

    def describe(self) -> str:
        """Return the values in words, one a row."""
        rows = (
            f"{label} {self._amount(value)}{_interval_words(interval)}"
            for (label, value), interval in zip(self.rows, self._intervals(), strict=True)
        )
        return "\n".join(rows) or "no values"

    def note(self) -> str:
        """Return the scale, and how many values have no bar on it."""
        shown = sum(_is_shown(value, log=self.log_scale) for _label, value in self.rows)
        without = f"{len(self.rows) - shown} without a bar" if shown < len(self.rows) else ""
        return "  ".join(filter(None, ["log scale" if self.log_scale and self._says_log else "", without]))

    def _intervals(self) -> list[Interval | None]:
        """Return an interval, or none, for each row."""
        given = list(self.intervals[: len(self.rows)])
        return [*given, *[None] * (len(self.rows) - len(given))]

    def _amount(self, value: float) -> str:
        unit = self.unit
        for larger in _LARGER_UNITS.get(unit, ()) if math.isfinite(value) else ():
            if value >= _THOUSAND:
                value, unit = value / _THOUSAND, larger
        return f"{short_number(value)} {unit}".rstrip()

    def _labels(self, longest: int) -> list[str]:
        """Return label and value of each row in one width; labels that are too long are cut."""
        amounts = [single_cells(self._amount(value)) for _label, value in self.rows]
        amount_width = max((len(amount) for amount in amounts), default=0)
        room = max(longest - amount_width - 1, 1)
        names = [single_cells(label) for label, _value in self.rows]
        cut = [name if len(name) <= room else name[: room - 1] + "…" for name in names]
        width = max((len(name) for name in cut), default=0)
        return [
            f"{name:<{width}} {amount:>{amount_width}}" for name, amount in zip(cut, amounts, strict=True)
        ]

    def _draw_bars(self, canvas: Canvas, axis: Axis, tops: Sequence[int], thickness: int) -> None:
        fractions = axis.fractions(np.array([value for _label, value in self.rows], dtype=np.float64))
        ends: list[float] = []
        heights: list[int] = []
        for (_label, value), fraction, top in zip(self.rows, fractions.tolist(), tops, strict=True):
            if value > 0 and _is_shown(value, log=self.log_scale):
                highest = canvas.down - 1 - top * SUBCELLS
                heights += range(highest, highest - thickness * SUBCELLS, -1)
                ends += [fraction * (canvas.across - 1)] * (thickness * SUBCELLS)
        if ends:
            canvas.figure.scatter(ends, heights, marker="hd", filly=True)

    def _draw_intervals(self, canvas: Canvas, axis: Axis, rows: Sequence[int]) -> None:
        """Mark the intervals, cell by cell, over the middle of their bars."""
        for interval, row in zip(self._intervals(), rows, strict=True):
            if interval is None or not all(_is_shown(end, log=self.log_scale) for end in interval):
                continue
            fractions = axis.fractions(np.array(interval, dtype=np.float64)).tolist()
            low, high = (int(fraction * (canvas.across - 1)) // SUBCELLS for fraction in fractions)
            for column, mark in enumerate(_whisker(high - low + 1), low):
                down = canvas.down - 1 - row * SUBCELLS
                canvas.figure.scatter([column * SUBCELLS], [down], marker=mark)


def _whisker(cells: int) -> str:
    """Return an interval so many cells wide."""
    return LOW_END + WHISKER * (cells - 2) + HIGH_END if cells > 1 else BOTH_ENDS


def _interval_words(interval: Interval | None) -> str:
    return "" if interval is None else f" ({short_number(interval[0])} to {short_number(interval[1])})"


def bar_axis(values: Sequence[float], *, log: bool) -> Axis:
    """Return an axis for bars: from zero, or on a log scale from below the smallest bar."""
    shown = [value for value in values if _is_shown(value, log=log)]
    if log:
        return log_axis(min(shown) / 2, max(shown)) if shown else Axis(0.1, 1.0, log=True)
    return Axis(0.0, linear_axis(0.0, max(shown)).high) if shown else Axis(0.0, 1.0)


def _is_shown(value: float, *, log: bool) -> bool:
    """Tell whether a bar can show this value: above zero, zero too where there is a zero."""
    return math.isfinite(value) and (TINY < value < HUGE if log else 0 <= value < HUGE)


METHOD = "MLPerf-like, shortened"

Cell = Callable[[ModelLatency], str]


def latency_table(result: LatencyFinished) -> Table:
    """Return a column a contestant, the LDA first; in bold what is the headline of each case."""
    models = list(contestant_names(result))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for _model in models:
        table.add_column(justify="right", no_wrap=True)
    table.add_row(METHOD, *(name for name, _model in models), style="dim")
    for title, cell, is_headline in _rows(result.batch_size):
        cells = [cell(model) for _name, model in models]
        table.add_row(title, *cells, style="bold" if is_headline else "")
    return table


def latency_bars(result: LatencyFinished) -> tuple[LabelledValue, ...]:
    """Return what the bars show: p90 of single queries, median in batches."""
    models = list(contestant_names(result))
    return (
        *((f"{name} {SINGLE_STREAM}", model.single_us.p90) for name, model in models),
        *((f"{name} {OFFLINE}", model.batch_us_per_query.p50) for name, model in models),
    )


def latency_intervals(result: LatencyFinished) -> tuple[Interval | None, ...]:
    """Return the 95 % intervals of the bars; None where an older version measured none."""
    models = [model for _name, model in contestant_names(result)]
    return (*(model.single_p90_interval for model in models), *(model.batch_interval for model in models))


def _rows(batch_size: int) -> tuple[tuple[str, Cell, bool], ...]:
    offline = f"{OFFLINE} ({batch_size})"
    return (
        (f"{SINGLE_STREAM} p50, µs", lambda model: f"{model.single_us.p50:,.1f}", False),
        (f"{SINGLE_STREAM} p90, µs", lambda model: f"{model.single_us.p90:,.1f}", True),
        (f"{SINGLE_STREAM} p99, µs", lambda model: f"{model.single_us.p99:,.1f}", False),
        (f"{SINGLE_STREAM}, queries/s", lambda model: f"{model.single_qps:,.0f}", False),
        (f"{offline}, µs a query", lambda model: f"{model.batch_us_per_query.p50:,.1f}", False),
        (f"{offline}, queries/s", lambda model: f"{model.batch_qps:,.0f}", True),
        ("outliers, kept", lambda model: f"{model.outliers:,}", False),
    )


Key = Callable[[ContestantRow], float | str]

KEYS: tuple[Key, ...] = (
    lambda row: row.name,
    lambda row: math.inf if row.single_us is None else row.single_us.p90,
    lambda row: math.inf if row.single_us is None else row.single_us.p50,
    lambda row: math.inf if row.single_over_lda is None else row.single_over_lda.value,
    lambda row: -(row.offline_per_second or 0.0),
    lambda row: math.inf if row.outliers is None else row.outliers,
    lambda row: math.inf if row.parameters is None else row.parameters,
    lambda row: math.inf if row.size_bytes is None else row.size_bytes,
    lambda row: math.inf if row.cosine is None else -row.cosine,
)
"""What each column is sorted by, the best first; who was not measured is last."""


class ContestantTable(Container):
    """One row a contestant, sorted by a column; below, what the marks mean and what could not be timed."""

    DEFAULT_CSS = """
    ContestantTable { layout: vertical; }
    ContestantTable > DataTable { height: 1fr; }
    ContestantTable > Static { height: auto; }
    """

    view: reactive[MeasurementView] = reactive(MeasurementView(), init=False)
    sorted_by: reactive[int] = reactive(1, init=False)

    def compose(self) -> ComposeResult:
        """Lay out headline, table and notes."""
        yield Static("", id="contestants-headline", markup=False)
        yield RowTable(id="contestants-rows", cursor_type="row", fixed_columns=1)
        yield Static("", id="contestants-notes", markup=False)

    def on_mount(self) -> None:
        """Name the columns."""
        self.query_one(DataTable).add_columns(*COLUMNS)
        self._update()

    def watch_view(self) -> None:
        """Show a comparison."""
        self._update()

    def watch_sorted_by(self) -> None:
        """Sort anew."""
        self._update()

    def sort_next(self) -> None:
        """Sort by the next column."""
        self.sorted_by = (self.sorted_by + 1) % len(COLUMNS)

    @on(DataTable.HeaderSelected)
    def _sort_by(self, event: DataTable.HeaderSelected) -> None:
        event.stop()
        self.sorted_by = event.column_index

    def _update(self) -> None:
        self.border_title = "All contestants, single-stream and offline"
        self.border_subtitle = f"sorted by {COLUMNS[self.sorted_by]}  C next column  v view"
        self.query_one("#contestants-headline", Static).update(_headline(self.view))
        table, result = self.query_one(DataTable), self.view.finished
        table.clear()
        rows = [row for row in result.rows if not row.note] if result else []
        for row in sorted(rows, key=KEYS[self.sorted_by]):
            first, *others = row_cells(row)
            table.add_row(
                Text(visible(first), "bold" if row.pareto_best else ""),
                *(Text(cell, justify="right") for cell in others),
            )
        self.query_one("#contestants-notes", Static).update(_notes(self.view))


def _headline(view: MeasurementView) -> Text:
    if view.state is JobState.FAILED:
        return Text(f"Failed: {visible(view.error)}", "bold")
    if view.state.is_active:
        timed = view.progress
        done = f"round {timed.done} of {timed.total}" if timed else "building and warming up"
        return Text(f"Timing: {done}", "bold")
    if view.finished is None:
        stopped = view.state is JobState.STOPPED
        return Text("Stopped before the first round." if stopped else "a compares all contestants.", "bold")
    student = f", the student of {view.run}" if view.run else ""
    words = f"N {view.finished.num_heads}{student}, {view.finished.device}, {view.finished.method}"
    if view.finished.ended != "complete":
        words += "; stopped early, this is what was measured"
    return Text(visible(words), "dim")


def _notes(view: MeasurementView) -> Text:
    result = view.finished
    if result is None:
        return Text("")
    notes = [PARETO, COSINE if view.trained else UNTRAINED, machine_words(result.machine)]
    if doubtful := doubts(result.machine, unsteady=not result.steady):
        notes.append(f"Doubtful: {doubtful}; repeat on a quiet machine.")
    notes += [visible(f"{row.name}: {row.note}") for row in result.rows if row.note]
    return Text("\n".join(notes), "dim")
