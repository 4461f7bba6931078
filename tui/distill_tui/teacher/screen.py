"""Screen 1: the teacher. Which projection, what it is made of, how it routes a question."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static

from distill_core.config import DataConfig
from distill_core.foreign_text import beginning
from distill_core.settings import check_field
from distill_tui.teacher.desk import DatabaseView, TeacherView
from distill_tui.teacher.questions import QuestionList, TeacherFacts, WeightBars
from distill_tui.ui.dialogs import Question, TextDialog
from distill_tui.ui.screen import WorkbenchScreen

NAME_CHARACTERS = 80
TAU_STEPS_A_DECADE = 20


class TeacherScreen(WorkbenchScreen):
    """Projections on top, the facts of the chosen one beside them; questions and their routing below."""

    MODE = "teacher"
    HELP = """
    # The teacher
    A query is routed by `softmax(cos(q, centroids) / τ)`; the projection is the weighted mean of the answers.

    `[` and `]` look at other temperatures, `T` takes one that is typed, `=` goes back; a run takes the one
    that is shown, and records it.

    *Effective heads* is exp(entropy) of the weights: 1 is one head alone, N is all of them alike. Near N the
    teacher is almost a constant, and a high cosine then says nothing.
    """
    BINDINGS = [
        Binding("slash", "filter", "Filter", key_display="/", id="teacher.filter"),
        Binding("escape", "leave_filter", "Leave filter", show=False, id="teacher.leave"),
        Binding(
            "left_square_bracket", "scale_temperature(-1)", "τ−, τ+", key_display="[ ]", id="teacher.cooler"
        ),
        Binding("right_square_bracket", "scale_temperature(1)", "τ+", show=False, id="teacher.hotter"),
        Binding("T", "type_temperature", "Type τ", key_display="T", show=False, id="teacher.temperature"),
        Binding("equals_sign", "reset_temperature", "Stored τ", show=False, id="teacher.stored"),
    ]
    AUTO_FOCUS = "#projections"

    def __init__(self) -> None:
        super().__init__()
        self._row: int | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out projections and facts over questions and routing."""
        with Horizontal(id="teacher-top"):
            yield DataTable(id="projections", cursor_type="row", zebra_stripes=True)
            with VerticalScroll(id="facts-scroll"):
                yield TeacherFacts(id="facts")
        with Horizontal(id="teacher-bottom"):
            with Vertical(id="questions-pane"):
                yield Input(placeholder="filter questions", id="filter", compact=True)
                yield QuestionList(id="questions")
            with Vertical(id="routing-pane"):
                yield Static("", id="routing-caption", markup=False)
                with VerticalScroll(id="routing-scroll"):
                    yield WeightBars(id="routing")

    def on_mount(self) -> None:
        """Name the columns and follow the app."""
        table = self.query_one("#projections", DataTable)
        table.border_title = "Projections"
        for name in ("id", "τ", "N", "questions", "name", "d", "model"):
            table.add_column(name, key=name)
        self.query_one("#facts-scroll").border_title = "This projection"
        self.query_one("#questions-pane").border_title = "Questions"
        self.query_one("#routing-pane").border_title = "Routing weights"
        self.workbench.teacher.database.follow(self, self._show_database)
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
            now = view.teacher.temperature
            step = round(TAU_STEPS_A_DECADE * math.log10(now)) + direction
            tau = 10 ** (step / TAU_STEPS_A_DECADE)
            lowest, highest = min(1e-3, now), max(100.0, now)  # one that is typed or stored may lie beyond
            self.workbench.teacher.publish(view.at(float(f"{min(max(tau, lowest), highest):.3g}")))

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
            self.workbench.teacher.publish(
                view.at(view.projection.temperature if tau is None else cast(float, tau))
            )

    def action_reset_temperature(self) -> None:
        """Go back to the temperature in the database."""
        view = self.workbench.teacher.view
        if view is not None and view.chosen_temperature is not None:
            self.workbench.teacher.publish(view.at(view.projection.temperature))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to leave the filter only while in it."""
        return action != "leave_filter" or (self.focused is not None and self.focused.id == "filter")

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
        weights = view.teacher.route(view.queries[row])
        names = [
            beginning(head.cluster_name, NAME_CHARACTERS) or f"cluster {head.cluster_id}"
            for head in view.heads
        ]
        bars.rows = tuple(sorted(zip(names, weights.tolist(), strict=True), key=lambda row: -row[1]))
        caption.update(f"true cluster: {view.cluster_names(question_id) or 'unknown'}")
