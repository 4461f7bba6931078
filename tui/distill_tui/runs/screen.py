"""Screen 6: the runs on disk. To look at, to compare, to go on with, to take settings from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.reactive import reactive
from textual.widgets import DataTable, Input, Static

from distill_tui.runs.actions import RunActions
from distill_tui.runs.comparison import run_comparison
from distill_tui.runs.desk import ComparedRuns, RunsView
from distill_tui.runs.rows import SORTS, RunRow, in_order, matching, run_facts, short_name
from distill_tui.runs.table import MARK, RunTable

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

LIST_SECONDS = 2.0
MAX_CURVES = 6
HINTS = "space marks  s sorts  v curves  r resumes  ? all keys"


class RunsScreen(RunActions):
    """The table of runs; below it what is known of the run under the cursor, and the marked ones compared."""

    MODE = "runs"
    HELP = """
    # The runs
    Every run is kept in a folder of its own, whoever trains it: this app, a command line, another machine.

    `enter` shows a run on screen 3 from its folder, live; leaving it never stops it. `r` goes on here with
    one that was stopped, interrupted or has failed, from its last checkpoint.

    `space` marks. Marked runs are compared with the baseline (`b`, shown as `*`), or else with the first that
    was marked: which settings differ, and the difference in cosine on the test queries that both were judged
    on, with a 95 % interval over queries. `v` draws their validation cosines into one chart on screen 3.

    *p90 µs* is the student's latency, one query at a time; *skill* is explained on screen 4.
    """
    BINDINGS = [
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter"),
        Binding("escape", "leave_filter", "Clear filter", show=False, id="runs.leave"),
        Binding("space", "mark", "Mark", show=False, id="runs.mark", tooltip="Mark to compare, or no longer"),
        Binding("s", "sort", "Sort", show=False, id="runs.sort", tooltip="Sort by the next column"),
        Binding("S", "reverse", "Reverse", show=False, id="runs.reverse", tooltip="Sort the other way round"),
        Binding("v", "curves", "Curves", show=False, id="runs.curves", tooltip="Draw the marked runs"),
    ]
    AUTO_FOCUS = "#run-table"

    pattern: reactive[str] = reactive("", init=False)
    sorted_by: reactive[str] = reactive(SORTS[0], init=False)
    is_reversed: reactive[bool] = reactive(False, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, RunRow] = {}
        self._marked: list[str] = []
        self._compared: tuple[RunSummary, ...] = ()
        """The runs, as they were, that the comparison was asked for."""
        self._remarked: RunSummary | None = None
        """Likewise of the remarks."""

    def compose_body(self) -> ComposeResult:
        """Lay out the table over the details."""
        with Vertical(id="runs-pane"):
            yield Input(placeholder="filter runs", id="run-filter", compact=True)
            yield RunTable(id="run-table")
            yield Static("", id="runs-empty", markup=False)
        with VerticalScroll(id="run-detail"), Container():
            yield Static("", id="run-facts", markup=False)
            yield Static("", id="run-comparison", markup=False)

    def on_mount(self) -> None:
        """Follow the app, and list the runs again and again while they are shown."""
        self.query_one("#runs-pane").border_subtitle = HINTS
        self.query_one("#run-filter").display = False
        self._lister = self.set_interval(LIST_SECONDS, self._list, pause=True)
        self.workbench.runs.follow(self, self._take_runs)
        self.workbench.runs.remarks.follow(self, lambda _view: self._show_facts(), init=False)
        self.workbench.runs.compared.follow(self, self._show_comparison, init=False)

    def on_screen_resume(self) -> None:
        """List the runs at once, and from now on."""
        self._list()
        self._lister.resume()

    def on_screen_suspend(self) -> None:
        """Read nothing while nobody looks."""
        self._lister.pause()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell what can be done with the run under the cursor, and with the filter."""
        if action == "leave_filter":
            return bool(self.query_one("#run-filter").display)
        if action in ("mark", "curves"):
            return self.chosen is not None
        return super().check_action(action, parameters)

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        path = self.query_one(RunTable).path_at_cursor
        return self._rows[path].run if path in self._rows else None

    @property
    def marks(self) -> dict[str, str]:
        """What stands before a run: its number among the marked ones, and a star before the baseline."""
        marks = {path: str(number) for number, path in enumerate(self._marked, 1)}
        baseline = self._view.baseline
        return marks if baseline is None else marks | {baseline.path: f"*{marks.get(baseline.path, '')}"}

    def action_filter(self) -> None:
        """Type to filter the runs."""
        field = self.query_one("#run-filter", Input)
        field.display = True
        field.focus()

    def action_leave_filter(self) -> None:
        """Show all runs again."""
        field = self.query_one("#run-filter", Input)
        field.value = ""
        field.display = False
        self.query_one(RunTable).focus()

    def action_mark(self) -> None:
        """Mark the run under the cursor, or no longer, and go to the next."""
        if self.chosen is None:
            return
        (self._marked.remove if self.chosen.path in self._marked else self._marked.append)(self.chosen.path)
        table = self.query_one(RunTable)
        table.mark(self.marks)
        table.action_cursor_down()
        self._compare()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.sorted_by = SORTS[(SORTS.index(self.sorted_by) + 1) % len(SORTS)]

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self.is_reversed = not self.is_reversed

    def action_curves(self) -> None:
        """Draw the marked runs, or the one under the cursor."""
        paths = self._marked or [run.path for run in (self.chosen,) if run is not None]
        if len(paths) > MAX_CURVES:
            self.notify(f"A chart has room for the first {MAX_CURVES} of them.")
        self.workbench.runs.show_curves(paths[:MAX_CURVES])

    def watch_pattern(self) -> None:
        """List the runs that match."""
        self._fill()

    def watch_sorted_by(self) -> None:
        """List the runs by another column."""
        self._fill()

    def watch_is_reversed(self) -> None:
        """List the runs in the other order."""
        self._fill()

    @on(Input.Changed, "#run-filter")
    def _filter(self, event: Input.Changed) -> None:
        self.pattern = event.value

    @on(Input.Submitted, "#run-filter")
    def _keep_filter(self) -> None:
        self.query_one("#run-filter").display = bool(self.pattern)
        self.query_one(RunTable).focus()

    @on(DataTable.RowHighlighted, "#run-table")
    def _look_closer(self) -> None:
        self._show_facts()
        self.refresh_bindings()

    @on(DataTable.RowSelected, "#run-table")
    def _open(self) -> None:
        if self.chosen is not None and self.workbench.training.open(self.chosen):
            self.app.switch_mode("train")

    @on(DataTable.HeaderSelected, "#run-table")
    def _sort_by(self, event: DataTable.HeaderSelected) -> None:
        name = event.column_key.value
        if name == self.sorted_by:
            self.is_reversed = not self.is_reversed
        elif name is not None and name != MARK:
            self.sorted_by = name

    def _list(self) -> None:
        """List the runs, unless something is timed: reading and drawing would be in the times."""
        if not self.workbench.jobs.is_timing:
            self.workbench.runs.list()

    @property
    def _view(self) -> RunsView:
        return self.workbench.runs.view or RunsView()

    def _take_runs(self, view: RunsView | None) -> None:
        known = self._rows
        self._rows = {
            run.path: row if (row := known.get(run.path)) and row.run == run else RunRow(run)
            for run in (view.runs if view else ())
        }
        self._marked = [path for path in self._marked if path in self._rows]
        self._fill()
        self._compare()

    def _fill(self) -> None:
        rows = in_order(matching(self._rows.values(), self.pattern), self.sorted_by, reverse=self.is_reversed)
        table, empty = self.query_one(RunTable), self.query_one("#runs-empty", Static)
        table.show(rows, self.marks, self.sorted_by, "▲" if self.is_reversed else "▼")
        table.display = bool(rows)
        empty.display = not rows
        empty.update(self._why_empty())
        shown = f"{len(rows):,} of " if len(rows) < len(self._rows) else ""
        self.query_one("#runs-pane").border_title = f"Runs: {shown}{len(self._rows):,}"
        if not self.app.screen.is_modal and self.focused is None and rows:
            table.focus()
        self._show_facts()
        self.refresh_bindings()

    def _why_empty(self) -> str:
        view = self.workbench.runs.view
        if view is None:
            return "Reading the runs"
        if view.problem:
            return view.problem
        if self._rows:
            return f"No run matches {self.pattern.strip()!r}; esc shows all."
        return (
            "No runs yet: ctrl+t trains one with the settings of screen 2, and so does\n"
            f"distill-tui train lda.db\nThey are kept in {view.root}"
        )

    def _show_facts(self) -> None:
        run, remarks = self.chosen, self.workbench.runs.remarks.view
        if run is not None and run != self._remarked:
            self._remarked = run
            self.workbench.runs.read_remarks(run.path)
        known = remarks if remarks is not None and run is not None and remarks.path == run.path else None
        self.query_one("#run-facts", Static).update("" if run is None else run_facts(run, known))

    def _compare(self) -> None:
        """Ask for the comparison of the marked runs, if they are others or other than they were."""
        baseline = self._view.baseline
        paths = dict.fromkeys(([baseline.path] if baseline and self._marked else []) + self._marked)
        runs = tuple(self._rows[path].run for path in paths)
        if runs != self._compared:
            self._compared = runs
            self.workbench.runs.compare([run.path for run in runs])

    def _show_comparison(self, compared: ComparedRuns) -> None:
        self.query_one("#run-detail").set_class(bool(compared.paths), "-comparing")
        runs = [self._rows[path].run for path in compared.paths if path in self._rows]
        names = [f"{self.marks.get(run.path, '')} {short_name(run)}" for run in runs]
        self.query_one("#run-comparison", Static).update(
            run_comparison(compared, names) if len(names) == len(compared.paths) else ""
        )
