"""The crossover on screen 5: what was found in words, and the curves with a cursor."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.latency.crossover import CrossoverFinished, CrossoverStarted, case_name
from distill_core.latency.events import MachineRecord
from distill_tui.jobs import JobState
from distill_tui.latency.crossover_chart import CrossoverChart
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
