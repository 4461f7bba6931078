"""Screen 1: the teacher. Which projection, what it is made of, how it routes a question."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static

from distill_core.config import DataConfig
from distill_core.foreign_text import beginning, visible
from distill_core.settings import check_field
from distill_core.wording import estimate_words
from distill_tui.teacher.desk import DatabaseView, TeacherView
from distill_tui.teacher.question_list import QuestionList
from distill_tui.teacher.questions import TeacherFacts, Weight, WeightBars
from distill_tui.teacher.temperatures import TemperatureBars
from distill_tui.ui.dialogs import Question, TextDialog
from distill_tui.ui.screen import WorkbenchScreen
from distill_tui.ui.table import RowTable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.database import Head

NAME_CHARACTERS = 80
TAU_STEPS_A_DECADE = 20
MAX_BARS = 200
"""Of more heads, the others are summed in one row."""


class TeacherScreen(WorkbenchScreen):
    """Projections on top, the facts of the chosen one beside them; questions and their routing below."""

    MODE = "teacher"
    HELP = """
    # The teacher
    A query is routed by `softmax(cos(q, centroids) / τ)`; the projection is the weighted mean of the answers.

    `[` and `]` look at other temperatures, `T` takes one that is typed, `=` goes back; a run takes the one
    that is shown, and records it.

    Where all questions would take long, the figures are about a sample of clusters; `A` looks at all.

    *Effective heads* is exp(entropy) of the weights: 1 is one head alone, N is all of them alike. Near N the
    teacher is almost a constant, and a high cosine then says nothing.

    The bars show what the teacher finds over its temperature, beside the bare query: MRR is the mean of
    1 / rank of the first true answer. *Left out* means that a question's own share is taken out of the
    centroids, as for a question that is new. A bar is solid up to the lower end of the 95 % interval and
    light up to its upper end. `m` takes the temperature that finds most, `c` shows the bars in place of the
    routing.
    """
    BINDINGS = [
        Binding("slash", "filter", "Filter", key_display="/", id="teacher.filter"),
        Binding("escape", "leave_filter", "Leave filter", show=False, id="teacher.leave"),
        Binding(
            "left_square_bracket", "scale_temperature(-1)", "τ−, τ+", key_display="[ ]", id="teacher.cooler"
        ),
        Binding("right_square_bracket", "scale_temperature(1)", "τ+", show=False, id="teacher.hotter"),
        Binding("T", "type_temperature", "Type τ", key_display="T", show=False, id="teacher.temperature"),
        Binding("m", "take_best_temperature", "Best τ", show=False, id="teacher.best"),
        Binding("c", "show_curve", "Curve", show=False, id="teacher.curve"),
        Binding("equals_sign", "reset_temperature", "Stored τ", show=False, id="teacher.stored"),
        Binding("A", "look_at_all", "All questions", key_display="A", show=False, id="teacher.all"),
    ]
    AUTO_FOCUS = "#projections"

    def __init__(self) -> None:
        super().__init__()
        self._row: int | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out projections and facts over questions and routing."""
        with Horizontal(id="teacher-top"):
            yield RowTable(id="projections", cursor_type="row", zebra_stripes=True)
            with VerticalScroll(id="facts-scroll"):
                yield TeacherFacts(id="facts")
        with Horizontal(id="teacher-bottom"):
            with Vertical(id="questions-pane", classes="pane"):
                yield Input(placeholder="filter questions", id="filter", compact=True)
                yield QuestionList(id="questions")
            with Vertical(id="routing-pane"):
                yield Static("", id="routing-caption", markup=False)
                with VerticalScroll(id="routing-scroll"):
                    yield WeightBars(id="routing")
            with VerticalScroll(id="temperatures-pane"):
                yield TemperatureBars(id="temperatures")

    def on_mount(self) -> None:
        """Name the columns and follow the app."""
        table = self.query_one("#projections", DataTable)
        table.border_title = "Projections"
        for name in ("id", "τ", "N", "questions", "name", "d", "model"):
            table.add_column(name, key=name)
        self.query_one("#facts-scroll").border_title = "This projection"
        self.query_one("#questions-pane").border_title = "Questions"
        self.query_one("#routing-pane").border_title = "Routing weights"
        self.query_one("#temperatures-pane").border_title = "What it finds, by temperature"
        self.workbench.teacher.database.follow(self, self._show_database)
        self.workbench.teacher.reading.follow(self, self._show_reading)
        self.workbench.teacher.follow(self, self._show_teacher)

    def action_filter(self) -> None:
        """Type to filter the questions."""
        self.query_one("#filter").focus()

    def action_leave_filter(self) -> None:
        """Show all questions again, and go to them."""
        self.query_one("#filter", Input).value = ""
        self.query_one(QuestionList).focus()

    def action_scale_temperature(self, direction: int) -> None:
        """Look at the teacher at the next temperature, 20 of them to a factor of ten."""
        view = self.workbench.teacher.view
        if view is not None:
            now = self.workbench.teacher.temperature or view.teacher.temperature
            step = round(TAU_STEPS_A_DECADE * math.log10(now)) + direction
            tau = 10 ** (step / TAU_STEPS_A_DECADE)
            lowest, highest = min(1e-3, now), max(100.0, now)  # one that is typed or stored may lie beyond
            self.workbench.teacher.look_at(float(f"{min(max(tau, lowest), highest):.3g}"))

    def action_type_temperature(self) -> None:
        """Ask for a temperature to look at."""
        view = self.workbench.teacher.view
        if view is None:
            self.notify("Choose a projection first.", severity="warning")
            return
        check = partial(check_field, DataConfig, "temperature")
        caption = f"auto is the stored {view.projection.temperature:g}"
        question = Question("Temperature τ", caption, f"{view.teacher.temperature:g}", check)
        self.app.push_screen(TextDialog(question), self._take_temperature)

    def _take_temperature(self, typed: str | None) -> None:
        view = self.workbench.teacher.view
        if view is not None and typed is not None:
            tau = check_field(DataConfig, "temperature", typed)
            self.workbench.teacher.look_at(view.projection.temperature if tau is None else cast(float, tau))

    def action_take_best_temperature(self) -> None:
        """Look at the temperature that finds most; runs take it, too."""
        view = self.workbench.teacher.view
        findings = view.health.findings if view else None
        if view is None or findings is None:
            self.notify("Nothing tells what the teacher finds: no true answer is known.", severity="warning")
            return
        best, stored = findings.curve.best_point, view.projection.temperature
        self.workbench.teacher.look_at(best.temperature)
        self.notify(
            f"Temperature {best.temperature:g} finds most: MRR {estimate_words(best.held_out_mrr, 3)}. Runs "
            f"take it from here on; the database keeps {stored:g}, and = goes back to that.",
            markup=False,
        )

    def action_show_curve(self) -> None:
        """Show the curve over the temperature in place of the routing weights, or these again."""
        self.toggle_class("-curve")

    def action_reset_temperature(self) -> None:
        """Go back to the temperature in the database."""
        view = self.workbench.teacher.view
        if view is not None and view.chosen_temperature is not None:
            self.workbench.teacher.look_at(view.projection.temperature)

    def action_look_at_all(self) -> None:
        """Look at every question, where the figures are about a sample."""
        view = self.workbench.teacher.view
        if view is None or view.health.num_looked_at == view.health.num_queries:
            self.notify("The figures are about all questions.")
        else:
            self.workbench.teacher.look_at_all()

    def _show_reading(self, words: str) -> None:
        self.query_one(TeacherFacts).reading = words

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to leave the filter only while in it."""
        return action != "leave_filter" or (self.focused is not None and self.focused.id == "filter")

    def in_hand(self) -> str:
        """Return the whole question that the cursor is on, or the row."""
        view = self.workbench.teacher.view
        if isinstance(self.focused, QuestionList) and view is not None and self._row is not None:
            return visible(view.question_text(view.question_ids[self._row]))
        return super().in_hand()

    def _show_database(self, view: DatabaseView | None) -> None:
        table = self.query_one("#projections", DataTable)
        table.clear()
        for projection in view.projections if view else ():
            table.add_row(
                str(projection.id),
                f"{projection.temperature:g}",
                f"{projection.num_heads:,}",
                f"{projection.num_questions:,}",
                Text(beginning(projection.name, NAME_CHARACTERS) or "-"),
                str(projection.dimension),
                Text(beginning(projection.model, NAME_CHARACTERS)),
                key=str(projection.id),
            )
        if not self.app.screen.is_modal:
            table.focus()

    def _show_teacher(self, view: TeacherView | None) -> None:
        self.query_one(TeacherFacts).view = view
        self.query_one(TemperatureBars).view = view
        questions = self.query_one(QuestionList)
        if view is None or questions.view is None or questions.view.queries is not view.queries:
            questions.view = view
        else:
            self._show_row(self._row)

    @on(DataTable.RowSelected, "#projections")
    def _choose_projection(self, event: DataTable.RowSelected) -> None:
        if event.row_key.value is not None:
            self.workbench.teacher.choose_projection(int(event.row_key.value))

    @on(Input.Changed, "#filter")
    def _filter_questions(self, event: Input.Changed) -> None:
        self.query_one(QuestionList).pattern = event.value

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        self.query_one(QuestionList).focus()

    @on(QuestionList.Highlighted)
    def _show_routing(self, event: QuestionList.Highlighted) -> None:
        self._row = event.row
        self._show_row(event.row)

    def _show_row(self, row: int | None) -> None:
        view = self.workbench.teacher.view
        bars = self.query_one(WeightBars)
        caption = self.query_one("#routing-caption", Static)
        if view is None or row is None:
            bars.rows = ()
            caption.update("")
            return
        question_id = view.question_ids[row]
        bars.rows = _largest(view.heads, view.teacher.route(view.queries[row]))
        caption.update(f"true cluster: {view.cluster_names(question_id) or 'unknown'}")


def _largest(heads: Sequence[Head], weights: NDArray[np.float32]) -> tuple[Weight, ...]:
    """Return the heads with the largest weights, and in one row what is left where there are many."""
    import numpy as np

    order = np.argsort(-weights, kind="stable")
    if len(order) > MAX_BARS:
        order = order[:MAX_BARS]
    rows = [
        (
            beginning(heads[row].cluster_name, NAME_CHARACTERS) or f"cluster {heads[row].cluster_id}",
            float(weights[row]),
        )
        for row in order.tolist()
    ]
    if len(order) < len(weights):
        left = max(0.0, float(weights.sum(dtype=np.float64) - weights[order].sum(dtype=np.float64)))
        rows.append((f"{len(weights) - len(order):,} other heads", left))
    return tuple(rows)
