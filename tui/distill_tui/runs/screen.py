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
from distill_tui.runs.columns import SORTS, arrow
from distill_tui.runs.comparison import run_comparison
from distill_tui.runs.desk import ComparedRuns, RunsView
from distill_tui.runs.filter import matching
from distill_tui.runs.rows import RunRow, grouped, in_order, run_facts, shared_words
from distill_tui.runs.table import MARK, RunTable

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

LIST_SECONDS = 2.0
HINTS = "space marks  s sorts  m seeds as one  v curves  ? all keys"
FILTERS = "filter: words, and L>=2  seed:1  db:n30  tag:thesis  state:running"


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
    on, with a 95 % interval over clusters, wider the more runs are compared. `v` draws their validation
    cosines into one chart on screen 3.

    The settings in which the runs differ stand first; what all have in common stands in the title. `/` takes
    words and conditions: `L>=2 seed:1 db:n30 tag:thesis state:running`. `m` makes one row of all runs that
    differ only in their seed, with mean ± standard deviation. With marks, `t`, `d` and `e` are about all
    marked runs. `u` takes back the last deletion, `U` chooses from the trash.

    *1-cos* is the distance to the teacher on the test queries, of a run in training on the validation
    queries so far; *state* then says how far it is and how long it still takes.

    *p90 µs* is the student's latency, one query at a time; *skill* is explained on screen 4.
    """
    BINDINGS = [
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter"),
        Binding("escape", "leave_filter", "Clear filter", show=False, id="runs.leave"),
        Binding("space", "mark", "Mark", show=False, id="runs.mark", tooltip="Mark to compare, or no longer"),
        Binding("s", "sort", "Sort", show=False, id="runs.sort", tooltip="Sort by the next column"),
        Binding("R", "reverse", "Reverse", show=False, id="runs.reverse", tooltip="Sort the other way round"),
        Binding("m", "group", "Seeds as one", show=False, id="runs.group", tooltip="A row a setting"),
        Binding("v", "curves", "Curves", show=False, id="runs.curves", tooltip="Draw the marked runs"),
    ]
    AUTO_FOCUS = "#run-table"

    pattern: reactive[str] = reactive("", init=False)
    sorted_by: reactive[str] = reactive(SORTS[0], init=False)
    is_reversed: reactive[bool] = reactive(False, init=False)
    is_grouped: reactive[bool] = reactive(False, init=False)
    """Whether runs that differ only in their seed are one row."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: dict[str, RunRow] = {}
        """Of every run, by its folder."""
        self._shown: dict[str, RunRow] = {}
        """The rows of the table; one may be of several runs."""
        self._marked: list[str] = []
        self._compared: tuple[RunSummary, ...] = ()
        """The runs, as they were, that the comparison was asked for."""
        self._remarked: RunSummary | None = None
        """Likewise of the remarks."""

    def compose_body(self) -> ComposeResult:
        """Lay out the table over the details."""
        with Vertical(id="runs-pane", classes="pane"):
            yield Input(placeholder=FILTERS, id="run-filter", compact=True)
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
        if not self.is_mounted:
            return False
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
        table = self.query_one(RunTable)
        row = self._shown.get(table.path_at_cursor or "")
        if row is None:
            return
        paths = [run.path for run in row.runs]
        if set(paths) <= set(self._marked):
            self._marked = [path for path in self._marked if path not in paths]
        else:
            self._marked = list(dict.fromkeys([*self._marked, *paths]))
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
        self.workbench.runs.show_curves(self.all_chosen)

    def action_group(self) -> None:
        """Make one row of runs that differ only in their seed, or a row a run again."""
        self.is_grouped = not self.is_grouped

    @property
    def all_chosen(self) -> list[RunSummary]:
        """The marked runs; without marks those of the row under the cursor."""
        if self._marked:
            return [self._rows[path].run for path in self._marked]
        path = self.query_one(RunTable).path_at_cursor
        return list(self._shown[path].runs) if path in self._shown else []

    def watch_pattern(self) -> None:
        """List the runs that match."""
        self._fill()

    def watch_sorted_by(self) -> None:
        """List the runs by another column."""
        self._fill()

    def watch_is_grouped(self) -> None:
        """List settings in place of runs, or the other way round."""
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
            run.path: row if (row := known.get(run.path)) and row.run == run else RunRow((run,))
            for run in (view.runs if view else ())
        }
        self._marked = [path for path in self._marked if path in self._rows]
        self._fill()
        self._compare()

    def _fill(self) -> None:
        rows = matching(self._own_first(), self.pattern)
        rows = grouped(rows) if self.is_grouped else rows
        if self.sorted_by != SORTS[0] or self.is_reversed:
            rows = in_order(rows, self.sorted_by, reverse=self.is_reversed)
        self._shown = {row.run.path: row for row in rows}
        table, empty = self.query_one(RunTable), self.query_one("#runs-empty", Static)
        table.show(rows, self.marks, self.sorted_by, arrow(self.sorted_by, reverse=self.is_reversed))
        table.display = bool(rows)
        empty.display = not rows
        empty.update(self._why_empty())
        num_shown = sum(len(row.runs) for row in rows)
        shown = f"{num_shown:,} of " if num_shown < len(self._rows) else ""
        alike = f" · all: {words}" if (words := shared_words(rows)) else ""
        self.query_one("#runs-pane").border_title = f"Runs: {shown}{len(self._rows):,}{alike}"
        if not self.app.screen.is_modal and self.focused is None and rows:
            table.focus()
        self._show_facts()
        self.refresh_bindings()

    def _own_first(self) -> list[RunRow]:
        """Return the runs, newest first, those of the open database before the others."""
        teacher = self.workbench.teacher.view
        if teacher is None:
            return [*self._rows.values()]
        here = str(teacher.path.absolute())
        return sorted(self._rows.values(), key=lambda row: row.run.database != here)

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
        marks = [self.marks.get(run.path, "") for run in runs]
        self.query_one("#run-comparison", Static).update(
            run_comparison(compared, runs, marks) if len(runs) == len(compared.paths) else ""
        )
