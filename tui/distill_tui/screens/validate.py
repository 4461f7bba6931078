"""Screen 4: what the student is worth on queries that it has never seen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import DataTable, Static

from distill_tui.screens.workbench import WorkbenchScreen
from distill_tui.state import TrainingView
from distill_tui.widgets.histogram import Histogram
from distill_tui.widgets.published_table import PublishedTable

MAX_WORST = 100


class ValidateScreen(WorkbenchScreen):
    """The metrics beside the published expectations, the spread of the cosines, the worst queries."""

    MODE = "validate"
    HELP = """
    # Validation
    All figures are of the test queries, which neither trained nor steered the student. The published
    expectations (mean > 0.99, min > 0.98, sd < 0.01) name no temperature and no baseline: at τ = 1 a constant
    passes them.
    """
    AUTO_FOCUS = "#worst"

    def compose_body(self) -> ComposeResult:
        """Lay out table and histogram over the worst queries."""
        yield Static("", id="validate-note", markup=False)
        with Horizontal(id="validate-top"):
            with Vertical(id="published-pane"):
                yield PublishedTable(id="published")
            yield Histogram(id="histogram")
        yield DataTable(id="worst", cursor_type="row", zebra_stripes=True)

    def on_mount(self) -> None:
        """Name the panes and follow the run."""
        self.query_one("#published-pane").border_title = "Test queries against the published expectations"
        self.query_one("#histogram").border_title = "Cosine of student and teacher, queries"
        table = self.query_one("#worst", DataTable)
        table.border_title = "Worst queries first"
        for name in ("cosine", "cluster", "question"):
            table.add_column(name, key=name)
        self.watch(self.app, "training", self._show_run)

    def _show_run(self, old: TrainingView, view: TrainingView) -> None:
        if old is not view and old.finished is view.finished and old.state is view.state:
            return
        note = self.query_one("#validate-note", Static)
        note.update(_note(view))
        self.query_one(PublishedTable).evaluation = view.finished.evaluation if view.finished else None
        self.query_one(Histogram).values = view.tested.cosines if view.tested else ()
        self._fill_worst(view)

    def _fill_worst(self, view: TrainingView) -> None:
        table = self.query_one("#worst", DataTable)
        table.clear()
        teacher = view.teacher
        if view.tested is None or teacher is None:
            return
        worst = sorted(zip(view.tested.cosines, view.tested.question_ids, strict=True))
        for cosine, question_id in worst[:MAX_WORST]:
            table.add_row(
                f"{cosine:.4f}", teacher.cluster_names(question_id), teacher.question_text(question_id)
            )


def _note(view: TrainingView) -> str:
    if view.finished is None:
        return (
            "The run is still going."
            if view.state.is_active
            else "Nothing to judge yet: ctrl+t trains a student."
        )
    done, planned = view.finished.epochs, view.started.config.training.epochs if view.started else 0
    early = f" It was stopped after {done} of {planned} epochs." if done < planned else ""
    return f"{view.finished.evaluation.n} held-out test queries.{early}"
