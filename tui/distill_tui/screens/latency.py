"""Screen 5: LDA and student side by side on this machine."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import DataTable, ProgressBar, Static

from distill_core.latency.events import LatencyFinished, ModelLatency
from distill_core.wording import plural
from distill_tui.latency_words import contestant_names, faster_lines
from distill_tui.machine_words import UNSTEADY, machine_warnings, machine_words
from distill_tui.screens.workbench import WorkbenchScreen
from distill_tui.state import ContestantsView, CrossoverView, JobState, LatencyView
from distill_tui.widgets.bar_chart import BarChart
from distill_tui.widgets.contestant_table import ContestantTable
from distill_tui.widgets.crossover_pane import CrossoverPane

VIEWS = ("bars", "curves", "table")
MEASUREMENTS = ("latency", "crossover", "contestants")
"""The jobs that this screen starts."""


class LatencyScreen(WorkbenchScreen):
    """Who is faster and by how much, the percentiles, and bars on a log axis; below, the crossover."""

    MODE = "latency"
    AUTO_FOCUS = ""
    HELP = """
    # Latency
    All models answer the same queries on the same device, in blocks that go forwards and backwards in turn
    (A B C C B A), after a warm-up. The ratio is the median over blocks, with a bootstrap interval. An
    untrained student of the same shape is as fast as a trained one.

    An encoder is timed *folded*, which is how one would run it: the same function with its linear maps
    multiplied out. *Published* is the network that was trained, beside it. Other students do not fold.

    # Crossover
    `x` grows the LDA over N heads, the real ones first, then heads drawn from their distribution, and times
    it against this student and against one that grows so that H^L >= N. A bracket *from 4,096 to 8,192*
    means that the LDA is surely faster at its lower end and the student at its upper end and beyond.
    It takes a minute at most; `s` stops it and keeps what was measured.

    # All contestants
    `a` times everyone who is installed: the LDA in NumPy and torch, restricted to its nearest heads, the
    student in all its forms and runtimes. `S`, or a click on a column, sorts. `a` again measures anew.
    """
    BINDINGS = [
        Binding("enter", "measure", "Measure", id="latency.measure"),
        Binding("x", "crossover", "Crossover", id="latency.crossover"),
        Binding("a", "contestants", "All contestants", id="latency.contestants", show=False),
        Binding("S", "sort", "Sort by next column", id="latency.sort", show=False),
        Binding("s", "stop", "Stop", id="latency.stop"),
        Binding("v", "view", "Next view", id="latency.view", show=False),
        Binding("b", "batch", "Batch size", id="latency.batch", show=False),
        Binding("left", "read(-1)", "Fewer heads", id="latency.fewer", show=False),
        Binding("right", "read(1)", "More heads", id="latency.more", show=False),
    ]

    shown: reactive[str] = reactive("bars", init=False)
    """Which of `VIEWS` has the room, where there is not enough for all."""

    def compose_body(self) -> ComposeResult:
        """Lay out headline, table, bars and curves."""
        yield Static("", id="latency-headline", markup=False)
        yield ProgressBar(show_eta=False, show_percentage=False, id="latency-progress")
        with Container(id="latency-body"):
            yield Static("", id="latency-table")
            yield BarChart(id="latency-bars", unit="µs", log=True)
        yield CrossoverPane(id="crossover")
        yield ContestantTable(id="contestants")

    def on_mount(self) -> None:
        """Name the panes and follow the measurements."""
        self.query_one("#latency-table").border_title = "Microseconds a query"
        self.query_one("#latency-bars").border_title = "Median microseconds a query, log axis"
        self.watch_shown("", self.shown)
        self.watch(self.app, "latency", self._show)
        self.watch(self.app, "crossover", self._show_crossover)
        self.watch(self.app, "contestants", self._show_contestants)
        self.watch(self.app, "teacher", lambda: self._show(self.workbench.latency))

    def watch_shown(self, before: str, shown: str) -> None:
        """Give the room to what is chosen; the style sheet decides whether the others keep theirs."""
        if before:
            self.remove_class(f"-{before}")
        self.add_class(f"-{shown}")
        # Textual would let a table that is not displayed have the keys.
        self.set_focus(self.query_one(DataTable) if shown == "table" else None)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Measure when nothing is measured, stop when something is, read where there are curves."""
        controller = self.workbench.controller
        measuring = controller.is_busy and controller.job_name in MEASUREMENTS
        match action:
            case "stop":
                return measuring
            case "measure" | "crossover" | "contestants":
                return not measuring
            case "sort":
                return self.shown == "table"
            case "batch" | "read":
                return self.shown == "curves" and self.workbench.crossover.finished is not None
        return True

    def action_measure(self) -> None:
        """Time both models now."""
        self.shown = "bars"
        self.workbench.start_latency()

    def action_crossover(self) -> None:
        """Search from how many heads on the student is faster."""
        if self.workbench.start_crossover():
            self.shown = "curves"

    def action_contestants(self) -> None:
        """Show all contestants; measure them where the table is shown already, or empty."""
        is_empty = self.workbench.contestants.finished is None
        if not (is_empty or self.shown == "table") or self.workbench.start_contestants():
            self.shown = "table"

    def action_sort(self) -> None:
        """Sort the contestants by the next column."""
        self.query_one(ContestantTable).sort_next()

    def action_stop(self) -> None:
        """Stop timing."""
        self.workbench.set_job_state("stop")

    def action_view(self) -> None:
        """Show what else was measured."""
        self.shown = VIEWS[(VIEWS.index(self.shown) + 1) % len(VIEWS)]

    def action_batch(self) -> None:
        """Show the curves of the next batch size."""
        self.query_one(CrossoverPane).switch_batch()

    def action_read(self, steps: int) -> None:
        """Read the curves at the next N."""
        self.query_one(CrossoverPane).move_cursor(steps)

    def _show_crossover(self, view: CrossoverView) -> None:
        self.query_one(CrossoverPane).view = view
        self._show_progress()
        self.refresh_bindings()

    def _show_contestants(self, view: ContestantsView) -> None:
        self.query_one(ContestantTable).view = view
        self._show_progress()
        self.refresh_bindings()

    def _show_progress(self) -> None:
        """Show how far a measurement is; with a total always, for a bar without one moves all the time."""
        bar, app = self.query_one(ProgressBar), self.workbench
        views = (app.latency, app.crossover, app.contestants)
        bar.display = any(view.state.is_active for view in views)
        if app.crossover.state.is_active:
            point = app.crossover.point
            total = point.budget_seconds if point else 1
            bar.update(total=total, progress=point.elapsed_seconds if point else 0)
        elif app.contestants.state.is_active:
            timed = app.contestants.round
            bar.update(total=timed.total if timed else 1, progress=timed.done if timed else 0)
        else:
            block = app.latency.block
            bar.update(total=block.total if block else 1, progress=block.done if block else 0)

    def _show(self, view: LatencyView) -> None:
        self.query_one("#latency-headline", Static).update(
            _headline(view, ready=self.workbench.teacher is not None)
        )
        self._show_progress()
        table, chart = self.query_one("#latency-table", Static), self.query_one(BarChart)
        if view.finished is None:
            table.update("")
            chart.rows = ()
            return
        table.update(_table(view.finished))
        chart.rows = _bars(view.finished)


def _headline(view: LatencyView, *, ready: bool) -> Text:
    if view.state is JobState.FAILED:
        return Text(f"Failed: {view.error}", "bold")
    if view.finished is not None:
        return _result(view.finished, trained=view.trained)
    if view.state.is_active:
        return Text("Warming up and timing; nothing is drawn meanwhile but the progress.", "bold")
    if view.state is JobState.STOPPED:
        return Text("Stopped before the end: enter measures again.", "bold")
    return Text(
        "enter measures LDA and student on this machine." if ready else "Choose a projection on screen 1.",
        "bold",
    )


def _result(result: LatencyFinished, *, trained: bool) -> Text:
    text = Text()
    for case, words in faster_lines(result):
        text.append(f"{case}: ", "dim").append(f"{words}\n", "bold")
    student = "the trained student" if trained else "an untrained student of this shape, as fast"
    text.append(
        f"N {result.num_heads}, {student}, {result.device}, {plural(result.threads, 'thread')}", "dim"
    )
    if result.machine is not None:
        text.append(f"\n{machine_words(result.machine)}", "dim")
        for warning in machine_warnings(result.machine):
            text.append(f"\n{warning}", "bold")
    if not result.steady:
        text.append(f"\n{UNSTEADY}", "bold")
    return text


def _table(result: LatencyFinished) -> Table:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("", "p50", "p90", "p99", "queries/s", style="bold")
    for name, model in contestant_names(result):
        _add_rows(table, name, model, result.batch_size)
    return table


def _add_rows(table: Table, name: str, model: ModelLatency, batch_size: int) -> None:
    rows = (
        ("single", model.single_us, model.single_qps),
        (f"batch {batch_size}", model.batch_us_per_query, model.batch_qps),
    )
    for label, times, rate in rows:
        table.add_row(
            f"{name}, {label}", f"{times.p50:,.1f}", f"{times.p90:,.1f}", f"{times.p99:,.1f}", f"{rate:,.0f}"
        )


def _bars(result: LatencyFinished) -> tuple[tuple[str, float], ...]:
    models = tuple(contestant_names(result))
    return (
        *((f"{name} single", model.single_us.p50) for name, model in models),
        *((f"{name} batch", model.batch_us_per_query.p50) for name, model in models),
    )
