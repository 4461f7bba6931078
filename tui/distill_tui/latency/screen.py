"""Screen 5: LDA and student side by side on this machine."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container
from textual.reactive import reactive
from textual.widgets import DataTable, ProgressBar, Static

from distill_core.foreign_text import visible
from distill_core.latency.events import LatencyFinished
from distill_core.latency.measurement import CrossoverSettings
from distill_core.wording import plural
from distill_tui.jobs import JobState
from distill_tui.latency.crossover import CrossoverDialog, CrossoverPane
from distill_tui.latency.desk import NO_QUERIES, MeasurementView
from distill_tui.latency.tables import (
    BarChart,
    ContestantTable,
    latency_bars,
    latency_intervals,
    latency_table,
)
from distill_tui.teacher.desk import TeacherView
from distill_tui.text import doubts, doubts_in_full, faster_lines, machine_words
from distill_tui.ui.screen import WorkbenchScreen

VIEWS = ("bars", "curves", "table")


class LatencyScreen(WorkbenchScreen):
    """Who is faster and by how much, the percentiles, and bars on a log axis; below, the crossover."""

    MODE = "latency"
    AUTO_FOCUS = ""
    HELP = """
    # Latency
    All models answer the same queries on the same device, in blocks that go forwards and backwards in turn
    (A B C C B A), after a warm-up. *Single-stream* is one query at a time, headline p90; *offline* is in
    batches, headline queries a second; both as in MLPerf, shortened. Each round has new copies of the models.
    The ratio is the median over rounds, with the sign test's 95 % interval; the bars have one, too: `├─┤`.
    Outliers are counted beyond the outer quartile fences, and kept. `enter` times the run in hand: the one
    opened on screen 6, else the last one that was trained here, and the results go into its folder; before
    any run, an untrained student of the form's shape, which is as fast as a trained one. `f` times that one
    at any time.

    *Doubtful*: others take part of the cores (busy), the process has one core only, or blocks of one model
    differ by half and more. Repeat it on a quiet machine.

    An encoder is timed *folded*, which is how one would run it: the same function with its linear maps
    multiplied out. *Published* is the network that was trained, beside it. Other students do not fold.

    # Crossover
    `x` grows the LDA over N heads, the real ones first, then heads drawn near real ones, and times
    it against this student and against one that grows so that H^L >= N. A bracket *from 4,096 to 8,192*
    means that the LDA is surely faster at its lower end and the student at its upper end and beyond.
    It takes a minute at most; `X` asks for another budget and a largest N first. `s` stops it and keeps what
    was measured; in the folder of a run it replaces no search that has more points.

    # All contestants
    `a` times everyone who is installed: the LDA in NumPy and torch, restricted to its nearest heads, the
    student in all its forms and runtimes. `C`, or a click on a column, sorts. `a` again measures anew.
    The cosine is over the questions of the database, those of the training included; screen 4 has the test's.
    """
    BINDINGS = [
        Binding("enter", "measure", "Measure", id="latency.measure"),
        Binding("f", "measure_form", "Measure the form's student", id="latency.measure_form", show=False),
        Binding("x", "crossover", "Crossover", id="latency.crossover"),
        Binding("X", "limits", "Crossover within limits", id="latency.limits", show=False),
        Binding("a", "contestants", "All contestants", id="latency.contestants", show=False),
        Binding("C", "sort", "Sort by next column", id="latency.sort", show=False),
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
        yield Static("", id="latency-machine", markup=False)
        yield Static("", id="latency-doubts", markup=False)
        yield ProgressBar(show_eta=False, show_percentage=False, id="latency-progress")
        with Container(id="latency-body"):
            yield Static("", id="latency-table")
            yield BarChart(id="latency-bars", unit="µs", log=True, says_log=False)
        yield CrossoverPane(id="crossover")
        yield ContestantTable(id="contestants")

    def on_mount(self) -> None:
        """Name the panes and follow the measurements."""
        self.query_one("#latency-table").border_title = "Single-stream and offline"
        self.query_one("#latency-bars").border_title = "single-stream p90, offline median; 95 %, log"
        self.watch_shown("", self.shown)
        desk = self.workbench.latency
        desk.comparison.follow(self, self._show)
        desk.crossover.follow(self, self._show_crossover)
        desk.contestants.follow(self, self._show_contestants)
        self.workbench.teacher.follow(self, lambda _view: self._show(desk.comparison.view))

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
        jobs = self.workbench.jobs
        match action:
            case "stop":
                return jobs.is_timing
            case "measure" | "measure_form" | "crossover" | "contestants" | "limits":
                return not jobs.is_timing
            case "sort":
                return self.shown == "table"
            case "batch" | "read":
                return self.shown == "curves" and self.workbench.latency.crossover.view.finished is not None
        return True

    def action_measure(self) -> None:
        """Time both models now."""
        self.shown = "bars"
        self.workbench.latency.comparison.start()

    def action_measure_form(self) -> None:
        """Time an untrained student of the form's shape, whatever run is in hand."""
        self.shown = "bars"
        self.workbench.latency.comparison.start(of_form=True)

    def action_crossover(self) -> None:
        """Search from how many heads on the student is faster."""
        if self.workbench.latency.crossover.start():
            self.shown = "curves"

    def action_limits(self) -> None:
        """Ask for the time budget and the largest N, then search."""
        if not self.workbench.latency.can_measure():
            return
        settings = self.workbench.latency.crossover.settings
        assert isinstance(settings, CrossoverSettings)
        dialog = CrossoverDialog(settings, self._check_limits)
        self.app.push_screen(dialog, self._search_within)

    def action_contestants(self) -> None:
        """Show all contestants; measure them where the table is shown already, or empty."""
        is_empty = self.workbench.latency.contestants.view.finished is None
        if not (is_empty or self.shown == "table") or self.workbench.latency.contestants.start():
            self.shown = "table"

    def action_sort(self) -> None:
        """Sort the contestants by the next column."""
        self.query_one(ContestantTable).sort_next()

    def action_stop(self) -> None:
        """Stop timing."""
        self.workbench.jobs.stop()

    def action_view(self) -> None:
        """Show what else was measured."""
        self.shown = VIEWS[(VIEWS.index(self.shown) + 1) % len(VIEWS)]

    def action_batch(self) -> None:
        """Show the curves of the next batch size."""
        self.query_one(CrossoverPane).switch_batch()

    def action_read(self, steps: int) -> None:
        """Read the curves at the next N."""
        self.query_one(CrossoverPane).move_cursor(steps)

    def _check_limits(self, settings: CrossoverSettings) -> None:
        """Refuse more heads than fit in the free memory."""
        from distill_core.latency.growing_teacher import require_fitting

        teacher = self.workbench.teacher.view
        if settings.max_heads is not None and teacher is not None:
            require_fitting(settings.max_heads, teacher.teacher.dimension)

    def _search_within(self, settings: CrossoverSettings | None) -> None:
        if settings is not None:
            self.workbench.latency.crossover.settings = settings
            self.action_crossover()

    def _show_crossover(self, view: MeasurementView) -> None:
        self.query_one(CrossoverPane).view = view
        self._show_progress()
        self.refresh_bindings()

    def _show_contestants(self, view: MeasurementView) -> None:
        self.query_one(ContestantTable).view = view
        self._show_progress()
        self.refresh_bindings()

    def _show_progress(self) -> None:
        """Show how far a measurement is; with a total always, for a bar without one moves all the time."""
        bar, desk = self.query_one(ProgressBar), self.workbench.latency
        active = [measured.view for measured in desk.all if measured.view.state.is_active]
        bar.display = bool(active)
        self.set_class(bar.display, "-timing")
        progress = active[0].progress if active else None
        if progress is None:
            bar.update(total=1, progress=0)
        elif active[0] is desk.crossover.view:
            bar.update(total=progress.budget_seconds, progress=progress.elapsed_seconds)
        else:
            bar.update(total=progress.total, progress=progress.done)

    def _show(self, view: MeasurementView) -> None:
        teacher, result = self.workbench.teacher.view, view.finished
        self.query_one("#latency-headline", Static).update(_headline(view, teacher))
        self._show_machine(result)
        self._show_progress()
        table, chart = self.query_one("#latency-table", Static), self.query_one(BarChart)
        table.update("" if result is None else latency_table(result))
        chart.intervals = () if result is None else latency_intervals(result)
        chart.rows = () if result is None else latency_bars(result)

    def _show_machine(self, result: LatencyFinished | None) -> None:
        """Show where it was measured and why that deserves doubt, a line each."""
        machine, unsteady = (result.machine, not result.steady) if result else (None, False)
        shown, doubtful = (
            self.query_one("#latency-machine", Static),
            self.query_one("#latency-doubts", Static),
        )
        shown.update("" if machine is None else machine_words(machine))
        words = doubts(machine, unsteady=unsteady)
        doubtful.update(f"Doubtful: {words}; repeat on a quiet one." if words else "")
        doubtful.tooltip = doubts_in_full(machine, unsteady=unsteady) or None
        self.set_class(bool(words), "-doubtful")
        self.set_class(machine is not None, "-measured")


def _headline(view: MeasurementView, teacher: TeacherView | None) -> Text:
    if view.state is JobState.FAILED:
        return Text(f"Failed: {visible(view.error)}", "bold")
    if view.finished is not None:
        return _result(view, view.finished)
    if view.state.is_active:
        return Text(visible(f"Timing {view.subject}; nothing is drawn meanwhile but the progress."), "bold")
    if view.state is JobState.STOPPED:
        return Text("Stopped before the end: enter measures again.", "bold")
    return Text(visible(_before(view, teacher)), "bold")


def _before(view: MeasurementView, teacher: TeacherView | None) -> str:
    """Say what can be measured, or why nothing can."""
    if teacher is None:
        return "Choose a projection on screen 1."
    if not len(teacher.queries):
        return NO_QUERIES
    return (
        f"enter measures LDA and {f'the student of {view.run}' if view.run else 'student'} on this machine."
    )


def _result(view: MeasurementView, result: LatencyFinished) -> Text:
    text = Text()
    for case, words in faster_lines(result):
        text.append(f"{case}: ", "dim").append(f"{words}\n", "bold")
    threads = plural(result.threads, "thread")
    subject = view.subject or f"{_student_words(view)} against LDA N {result.num_heads:,}"
    text.append(f"{visible(subject)}, {result.device}, {threads}", "dim")
    if result.ended != "complete":
        text.append(", stopped early", "dim")
    return text


def _student_words(view: MeasurementView) -> str:
    """Say whose student was timed."""
    if view.run:
        return visible(f"the student of {view.run}")
    return "the trained student" if view.trained else "an untrained student of this shape"
