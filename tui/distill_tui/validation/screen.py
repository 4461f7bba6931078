"""Screen 4: what the student is worth on queries that it has never seen."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import DataTable, Static, TabbedContent, TabPane

from distill_core.evaluation.report import Assessment
from distill_core.foreign_text import visible
from distill_tui.jobs import JobState
from distill_tui.training.desk import TrainingView
from distill_tui.ui.screen import WorkbenchScreen
from distill_tui.validation.histogram import Histogram
from distill_tui.validation.tables import (
    LadderTable,
    PublishedTable,
    RetrievalGrid,
    VerdictPanel,
    WorstQueries,
)

TABS = ("ladder", "cosines", "worst", "retrieval")


class ValidateScreen(WorkbenchScreen):
    """The verdict; below it the ladder, the cosines, the worst queries and retrieval, one at a time."""

    MODE = "validate"
    HELP = """
    # Validation
    All figures are of the test queries, which neither trained nor steered the student. 95 % intervals
    resample whole clusters, because the questions of one are paraphrases.

    *Skill* is 1 - (1 - cos) / (1 - cos of a constant): 1 is the teacher, 0 a constant, below 0 is worse.
    *Student's lead* is the difference in skill on the same queries: above 0 the student is better.
    *Agreement@k* is the share of the teacher's k best answers that are found, too.

    The published expectations (mean > 0.99, min > 0.98, sd < 0.01) name no temperature and no baseline: at
    τ = 1 a constant passes them.
    """
    BINDINGS = [Binding("t", "next_tab", "Next table", id="validate.tab")]
    AUTO_FOCUS = "#ladder"

    def __init__(self) -> None:
        super().__init__()
        self._shown: TrainingView | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out the verdict over the tabs."""
        with VerticalScroll(id="verdict-pane"):
            yield VerdictPanel(id="verdict", markup=False)
        with TabbedContent(id="validate-tabs"):
            with TabPane("Ladder", id="tab-ladder"):
                yield LadderTable(id="ladder")
            with TabPane("Cosines and published figures", id="tab-cosines"), Horizontal():
                with Vertical(id="published-pane"):
                    yield PublishedTable(id="published")
                    yield Static("", id="published-note", markup=False)
                with Vertical():
                    yield Histogram(id="student-histogram", title="student")
                    yield Histogram(id="baseline-histogram", title="best baseline")
            with TabPane("Worst queries", id="tab-worst"):
                yield WorstQueries(id="worst")
                with VerticalScroll(id="worst-detail", can_focus=False):
                    yield Static("", id="worst-text", markup=False)
            with TabPane("Retrieval", id="tab-retrieval"):
                yield RetrievalGrid(id="retrieval")

    def on_mount(self) -> None:
        """Name the panes and follow the run."""
        self.query_one("#published-pane").border_title = "Against the published expectations"
        self.workbench.training.follow(self, self._show_run)
        self.workbench.teacher.follow(self, lambda _view: self._name_verdict())

    def action_next_tab(self) -> None:
        """Show the next of the four tables."""
        tabs = self.query_one(TabbedContent)
        shown = TABS.index(tabs.active.removeprefix("tab-"))
        name = TABS[(shown + 1) % len(TABS)]
        tabs.active = f"tab-{name}"
        if name != "cosines":
            self.query_one(f"#{name}").focus()

    @on(DataTable.RowHighlighted, "#worst")
    def _show_query(self) -> None:
        self.query_one("#worst-text", Static).update(self.query_one(WorstQueries).detail)

    def _show_run(self, view: TrainingView) -> None:
        self._name_verdict()
        shown, self._shown = self._shown, view
        is_same = shown is not None and shown.finished is view.finished and shown.state is view.state
        if is_same and shown is not None and shown.teacher is view.teacher:
            return
        assessment = view.assessment
        panel = self.query_one(VerdictPanel)
        panel.placeholder = _placeholder(view)
        panel.verdict = assessment.verdict if assessment else None
        self.query_one(LadderTable).show(assessment)
        self.query_one(RetrievalGrid).show(assessment)
        self.query_one(WorstQueries).show(view)
        self._show_query()
        self.query_one(PublishedTable).evaluation = view.finished.evaluation if view.finished else None
        self.query_one("#published-note", Static).update(_note(view))
        self._show_cosines(view, assessment)

    def _name_verdict(self) -> None:
        """Say what the verdict is about, and where that is not the open projection as it is now."""
        run, opened = self.workbench.training.view, self.workbench.teacher.view
        pane, of_run = self.query_one("#verdict-pane"), run.teacher
        is_other = opened is not None and (
            of_run is None
            or (of_run.content, of_run.teacher.temperature) != (opened.content, opened.teacher.temperature)
        )
        pane.border_title = Content(visible(f"Verdict: {run.subject}" if run.subject else "Verdict"))
        pane.border_subtitle = "of another teacher than the open one" if run.finished and is_other else ""

    def _show_cosines(self, view: TrainingView, assessment: Assessment | None) -> None:
        student = self.query_one("#student-histogram", Histogram)
        baseline = self.query_one("#baseline-histogram", Histogram)
        student.values = view.tested.cosines if view.tested else ()
        others = assessment.best_baseline_cosines if assessment else ()
        baseline.values = tuple(value for value in others if value is not None)
        both = (*student.values, *baseline.values)
        student.span = baseline.span = (min(both), max(both)) if both else None
        if assessment is not None:
            labels = {score.name: score.label for score in assessment.baselines}
            baseline.title = f"best baseline: {labels.get(assessment.best_baseline or '', 'none')}"


def _placeholder(view: TrainingView) -> str:
    if view.state.is_active:
        return "The run is still going; the verdict comes at its end."
    return "Nothing to judge yet: ctrl+t trains a student."


def _note(view: TrainingView) -> str:
    if view.finished is None or view.assessment is None:
        return ""
    why = "Stopped" if view.state is JobState.STOPPED else "Validation gained no more: ended"
    early = (
        f" {why} after {view.finished.epochs} of {view.planned_epochs} epochs." if view.ended_early else ""
    )
    seen = view.assessment.near_duplicates
    return f"{view.finished.evaluation.n} test queries, {seen} with a near-duplicate in training.{early}"
