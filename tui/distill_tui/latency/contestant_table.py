"""All contestants on screen 5: a table that can be sorted, and why some are not in it."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import DataTable, Static

from distill_core.foreign_text import visible
from distill_core.latency.events import ContestantRow
from distill_tui.jobs import JobState
from distill_tui.latency.desk import MeasurementView
from distill_tui.text import COLUMNS, COSINE, PARETO, UNTRAINED, doubts, machine_words, row_cells

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
        yield DataTable(id="contestants-rows", cursor_type="row", fixed_columns=1)
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
        self.border_subtitle = f"sorted by {COLUMNS[self.sorted_by]}  S next column  v view"
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
