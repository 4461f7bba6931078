"""Teacher and student side by side in parameters and operations."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.architecture import lda_cost
from distill_core.students.spec import StudentConfig
from distill_tui.teacher.desk import TeacherView


class CostTable(Static):
    """H^L against N, parameters and FLOPs of both models and their ratio, live with the form.

    A kind of student may have a row of its own.
    """

    view: reactive[TeacherView | None] = reactive(None)
    student: reactive[StudentConfig | None] = reactive(None)

    is_complete: reactive[bool] = reactive(True)
    """Whether the student is that of the form; False while a field of it cannot be used."""

    def watch_is_complete(self) -> None:
        """Show nothing that is of other settings than the form."""
        self._show()

    def watch_view(self) -> None:
        """Compare with another teacher."""
        self._show()

    def watch_student(self) -> None:
        """Compare another student."""
        self._show()

    def _show(self) -> None:
        if not self.is_complete:
            self.update(Text("Mend the marked field first.", "dim"))
            return
        if self.view is None or self.student is None:
            self.update(Text("Choose a projection on screen 1.", "dim"))
            return
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
