"""Teacher and student side by side in parameters and operations."""

from __future__ import annotations

from dataclasses import replace

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.events import DescendantBlur, DescendantFocus
from textual.reactive import reactive
from textual.widgets import DataTable, Static

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig
from distill_core.students.kinds import STUDENT_KINDS
from distill_core.students.spec import Candidate, StudentConfig
from distill_core.sweeps.axes import TypedSweep
from distill_tui.student.desk import RunSettings
from distill_tui.student.form import SettingsForm
from distill_tui.student.rows import LETTERS
from distill_tui.teacher.desk import TeacherView
from distill_tui.ui.screen import WorkbenchScreen
from distill_tui.ui.table import RowTable


class CostTable(Static):
    """H^L against N, parameters and FLOPs of both models and their ratio, live with the form.

    A kind of student may have a row of its own.
    """

    view: reactive[TeacherView | None] = reactive(None)
    student: reactive[StudentConfig | None] = reactive(None)

    is_complete: reactive[bool] = reactive(True)
    """Whether the student is that of the form; False while a field of it cannot be used."""

    def watch_is_complete(self) -> None:
        """Dim what is of other settings than the form."""
        self._show()

    def watch_view(self) -> None:
        """Compare with another teacher."""
        self._show()

    def watch_student(self) -> None:
        """Compare another student."""
        self._show()

    def _show(self) -> None:
        if self.view is None or self.student is None:
            self.update(Text("Choose a projection on screen 1.", "dim"))
            return
        self.border_subtitle = "" if self.is_complete else "as it was before the marked field"
        self.set_class(not self.is_complete, "-dimmed")
        self.update(_table(self.view, self.student))


def _table(view: TeacherView, student: StudentConfig) -> Table:
    num_heads, dimension = view.teacher.num_heads, view.teacher.dimension
    lda = lda_cost(num_heads, dimension)
    trained, used = (cost(dimension, num_heads) for cost in (student.cost, student.inference_cost))
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right"):
        table.add_column(justify=justify)
    table.add_row("", "LDA", "student", "student / LDA", style="bold")
    table.add_row("flat heads", f"N {num_heads:,}", *_flat_heads(student, num_heads))
    parameters = trained.parameters
    table.add_row("parameters", f"{lda.parameters:,}", f"{parameters:,}", _ratio(parameters, lda.parameters))
    if used.parameters != parameters:
        table.add_row("folded", "", f"{used.parameters:,}", _ratio(used.parameters, lda.parameters))
    if (row := student.cost_row(dimension, num_heads)) is not None:
        title, value = row
        table.add_row(title, "", value, "")
    table.add_row("FLOPs a query", f"{lda.flops:,}", f"{used.flops:,}", _ratio(used.flops, lda.flops))
    return table


def _flat_heads(student: StudentConfig, num_heads: int) -> tuple[str, str]:
    """Return H^L and its ratio to N, both cut short where they have too many digits."""
    flat = student.flat_heads()
    if flat is None:
        return "-", "-"
    heads, layers = flat
    digits = layers * len(str(heads))
    value = f" = {heads**layers:,}" if digits <= 12 else ""
    return f"{heads}^{layers}{value}", _ratio(heads**layers, num_heads) if digits <= 300 else "huge"


def _ratio(upper: int, lower: int) -> str:
    ratio = upper / lower
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2g}x"


class StudentScreen(WorkbenchScreen):
    """The form; live beside it the costs and the candidate architectures."""

    MODE = "student"
    HELP = f"""
    # The student
    The claim under test: H heads and L layers route like H^L flat heads.
    {" ".join(kind.HELP for kind in STUDENT_KINDS.values())}

    `book` is H = 4 with H^L nearest to N; `capacity` the fewest layers with H^L ≥ N. What is `auto` is set by
    the recipe. *Folded* is a student as it is used: the same function with its linear maps multiplied out.
    """
    BINDINGS = [
        Binding("escape", "leave_field", "Leave field", id="student.leave"),
        Binding("e", "edit", "Edit", id="student.edit", tooltip="Go to the first setting"),
        Binding("c", "candidates", "Candidates", id="student.candidates", tooltip="Choose an architecture"),
        *(
            Binding(letter, f"go_to('{field}')", f"Set {field}", show=False, id=f"student.{field}")
            for letter, field in LETTERS.items()
        ),
    ]
    AUTO_FOCUS = "#candidates"

    def __init__(self) -> None:
        super().__init__()
        self._typed: RunSettings | None = None
        """The settings that the form told last."""
        self._listed: tuple[Candidate, ...] = ()

    def compose_body(self) -> ComposeResult:
        """Lay out form, costs and candidates; beside each other where there is room."""
        with Container(id="student-body"):
            with Vertical(id="form-pane"):
                yield SettingsForm(id="form", classes="pane")
            with Vertical(id="student-side"):
                yield CostTable(id="costs")
                yield RowTable(id="candidates", cursor_type="row", zebra_stripes=True)
                yield Static("", id="student-note", markup=False)
        yield Static("", id="field-hint", markup=False)

    def on_mount(self) -> None:
        """Name the panes and follow the app."""
        self.query_one("#form").border_title = "Settings of the run"
        self.query_one("#costs").border_title = "What it costs"
        table = self.query_one("#candidates", DataTable)
        table.border_title = "Candidates, enter takes one"
        for name in ("H", "L", "H^L", "H^L / N", "parameters", "rule"):
            table.add_column(name, key=name)
        self.workbench.student.follow(self, self._show_settings)
        self.workbench.teacher.follow(self, self._show_teacher)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to leave a field only while in one."""
        in_form = self.focused is not None and self.query_one(SettingsForm) in self.focused.ancestors
        if action == "leave_field":
            return in_form
        return True

    def action_leave_field(self) -> None:
        """Put the keys back to work: digits switch screens again."""
        self.query_one("#candidates").focus()

    def command_in_hand(self) -> RunConfig | None:
        """Return the settings of the form, on the teacher that is open."""
        teacher = self.workbench.teacher.view
        return self.workbench.student.run_config(teacher) if teacher is not None else None

    def action_edit(self) -> None:
        """Go to the first setting."""
        self.query_one("#kind").focus()

    def action_go_to(self, field: str) -> None:
        """Go to a setting by its letter."""
        self.query_one(SettingsForm).go_to(field)

    def action_candidates(self) -> None:
        """Go to the candidate architectures."""
        self.query_one("#candidates").focus()

    def _show_teacher(self, view: TeacherView | None) -> None:
        self.query_one(CostTable).view = view
        shape = (view.teacher.num_heads, view.teacher.dimension) if view else None
        self.query_one(SettingsForm).teacher_shape = shape
        self._fill_candidates()

    def _show_settings(self, settings: RunSettings) -> None:
        if settings is not self._typed:  # else the fields have it, and may have more by now
            self.query_one(SettingsForm).values = settings
        self.query_one(CostTable).student = settings.student
        self._fill_candidates()

    def _fill_candidates(self) -> None:
        view, student = self.workbench.teacher.view, self.workbench.student.view.student
        candidates = student.candidates(view.teacher.dimension, view.teacher.num_heads) if view else ()
        costs = self.query_one(CostTable)
        costs.is_complete = self.workbench.student.is_complete
        self.query_one("#form").border_subtitle = _size_words(view, student)
        if candidates != self._listed:
            self._listed = candidates
            table = self.query_one("#candidates", DataTable)
            table.clear()
            for candidate in candidates:
                table.add_row(*self._cells(candidate), key=_key(candidate.settings))
        self._mark_chosen()

    def _cells(self, candidate: Candidate) -> tuple[str, ...]:
        view, settings = self.workbench.teacher.view, candidate.settings
        number, flat, of_all = "-", "-", "-"
        if (power := settings.flat_heads()) is not None:
            heads, layers = power
            ratio = heads**layers / (view.teacher.num_heads if view else 1)
            number, flat, of_all = str(heads), f"{heads**layers:,}", f"{ratio:.2f}"
        parameters = f"{candidate.cost.parameters:,}"
        return number, str(settings.value("layers")), flat, of_all, parameters, ", ".join(candidate.rules)

    def _mark_chosen(self) -> None:
        table = self.query_one("#candidates", DataTable)
        key = _key(self.workbench.student.view.student)
        if key in {row.value for row in table.rows}:
            table.move_cursor(row=table.get_row_index(key), animate=False)

    @on(DataTable.RowSelected, "#candidates")
    def _take_candidate(self, event: DataTable.RowSelected) -> None:
        student, view = self._listed[event.cursor_row].settings, self.workbench.student.view
        axes = {name: values for name, values in view.axes.items() if name not in student.__struct_fields__}
        settings = replace(view, student=student, axes=axes)
        self.workbench.student.publish(settings)
        self.query_one(SettingsForm).fill(settings)

    @on(SettingsForm.Changed)
    def _take_settings(self, event: SettingsForm.Changed) -> None:
        note = self.query_one("#student-note", Static)
        self.workbench.student.is_complete = event.settings is not None
        self._show_hint()
        if event.settings is None:
            note.update("Mend the marked fields before you train.")
            self._fill_candidates()
            return
        self._typed = event.settings
        self.workbench.student.publish(event.settings)
        note.update(self._what_follows(event.settings))
        self._fill_candidates()  # the app has had these settings before, if a field was wrong in between

    def _what_follows(self, settings: RunSettings) -> str:
        """Say what the keys would start: one run, or, of lists, how many, for how long, and what merges."""
        if not settings.axes:
            return "ctrl+t trains; esc leaves the fields."
        words = self.workbench.sweeps.forecast(TypedSweep(settings.axes, None, ""))
        return f"ctrl+g: {words}"

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _show_hint(self) -> None:
        """Say in full of the field with the focus what beside it may be cut."""
        self.query_one("#field-hint", Static).update(self.query_one(SettingsForm).hint)


def _key(student: StudentConfig) -> str:
    """Return what tells a candidate from the others: H where there are heads, and L."""
    return ",".join(str(count) for name in ("heads", "layers") if (count := student.count(name)) is not None)


def _size_words(view: TeacherView | None, student: StudentConfig) -> str:
    """Return the student's parameters, for terminals in which the costs have no room."""
    if view is None:
        return ""
    num_heads, dimension = view.teacher.num_heads, view.teacher.dimension
    trained, used = (cost(dimension, num_heads) for cost in (student.cost, student.inference_cost))
    folded = f", {used.parameters:,} folded" if used.parameters != trained.parameters else ""
    return f"{trained.parameters:,} parameters{folded}"
