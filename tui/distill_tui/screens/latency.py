"""Screen 5: LDA and transformer side by side on this machine."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.widgets import ProgressBar, Static

from distill_core.latency.events import LatencyFinished, ModelLatency
from distill_core.wording import faster_sentence, plural
from distill_tui.screens.workbench import WorkbenchScreen
from distill_tui.state import JobState, LatencyView
from distill_tui.widgets.bar_chart import BarChart


class LatencyScreen(WorkbenchScreen):
    """Who is faster and by how much, the percentiles, and bars on a log axis."""

    MODE = "latency"
    HELP = """
    # Latency
    Both models answer the same queries on the same device, in blocks that alternate (A B B A), after a
    warm-up. The ratio is the median over blocks, with a bootstrap interval. An untrained student of the same
    shape is as fast as a trained one.
    """
    BINDINGS = [
        Binding("enter", "measure", "Measure", id="latency.measure"),
        Binding("s", "stop", "Stop", id="latency.stop"),
    ]

    def compose_body(self) -> ComposeResult:
        """Lay out headline, table and bars."""
        yield Static("", id="latency-headline", markup=False)
        yield ProgressBar(show_eta=False, show_percentage=False, id="latency-progress")
        with Container(id="latency-body"):
            yield Static("", id="latency-table")
            yield BarChart(id="latency-bars", unit="µs", log=True)

    def on_mount(self) -> None:
        """Name the panes and follow the measurement."""
        self.query_one("#latency-table").border_title = "Microseconds a query"
        self.query_one("#latency-bars").border_title = "Median microseconds a query, log axis"
        self.watch(self.app, "latency", self._show)
        self.watch(self.app, "teacher", lambda: self._show(self.workbench.latency))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Measure when nothing runs, stop when a measurement does."""
        controller = self.workbench.controller
        measuring = controller.is_busy and controller.job_name == "latency"
        if action == "stop":
            return measuring
        if action == "measure":
            return not measuring
        return True

    def action_measure(self) -> None:
        """Time both models now."""
        self.workbench.start_latency()

    def action_stop(self) -> None:
        """Stop timing."""
        self.workbench.set_job_state("stop")

    def _show(self, view: LatencyView) -> None:
        self.query_one("#latency-headline", Static).update(
            _headline(view, ready=self.workbench.teacher is not None)
        )
        bar = self.query_one(ProgressBar)
        bar.display = view.state.is_active
        if view.block is not None:
            bar.update(total=view.block.total, progress=view.block.done)
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
    text.append("single query: ", "dim").append(
        f"{faster_sentence(result.single_ratio, result.single_ratio_interval)}\n", "bold"
    )
    text.append(f"batch of {result.batch_size}: ", "dim").append(
        f"{faster_sentence(result.batch_ratio, result.batch_ratio_interval)}\n", "bold"
    )
    student = (
        "the trained student" if trained else "an untrained student of this shape (as fast as a trained one)"
    )
    text.append(
        f"N {result.num_heads}, {student}, {result.device}, {plural(result.threads, 'thread')}", "dim"
    )
    if not result.steady:
        text.append(
            "\nThe machine was unsteady: blocks of one model disagree. Repeat when it is quiet.", "bold"
        )
    return text


def _table(result: LatencyFinished) -> Table:
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("", "p50", "p90", "p99", "queries/s", style="bold")
    for name, model in (("LDA", result.lda), ("transformer", result.transformer)):
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
    return (
        ("LDA single", result.lda.single_us.p50),
        ("transformer single", result.transformer.single_us.p50),
        (f"LDA batch {result.batch_size}", result.lda.batch_us_per_query.p50),
        (f"transformer batch {result.batch_size}", result.transformer.batch_us_per_query.p50),
    )
