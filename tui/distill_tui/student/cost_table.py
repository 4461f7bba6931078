"""Teacher and student side by side in parameters and operations."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.architecture import inference_cost, lda_cost, memory_slots, mlp_width, student_cost
from distill_core.config import StudentConfig
from distill_tui.shapes import uses
from distill_tui.teacher.desk import TeacherView


class CostTable(Static):
    """H^L against N, parameters and FLOPs of both models and their ratio, live with the form.

    The last row is about the kind: an encoder's parameters when folded, a memory's slots, an mlp's width.
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
    trained, used = (cost(student, dimension, num_heads) for cost in (student_cost, inference_cost))
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "right", "right"):
        table.add_column(justify=justify)
    table.add_row("", "LDA", "student", "student / LDA", style="bold")
    if uses(student.kind, "heads"):
        table.add_row("flat heads", f"N {num_heads:,}", _flat_heads(student), _flat_ratio(student, num_heads))
    else:
        table.add_row("flat heads", f"N {num_heads:,}", "-", "-")
    table.add_row(
        "parameters",
        f"{lda.parameters:,}",
        f"{trained.parameters:,}",
        _ratio(trained.parameters, lda.parameters),
    )
    match student.kind:
        case "encoder":
            table.add_row("folded", "", f"{used.parameters:,}", _ratio(used.parameters, lda.parameters))
        case "memory":
            table.add_row("slots K", "", f"{memory_slots(student.slots, num_heads):,}", "")
        case "mlp":
            table.add_row("hidden width", "", f"{mlp_width(dimension, student.layers, student.ff_dim):,}", "")
    table.add_row("FLOPs a query", f"{lda.flops:,}", f"{used.flops:,}", _ratio(used.flops, lda.flops))
    return table


def _flat_heads(student: StudentConfig) -> str:
    digits = student.layers * len(str(student.heads))
    value = f" = {student.heads**student.layers:,}" if digits <= 12 else ""
    return f"{student.heads}^{student.layers}{value}"


def _flat_ratio(student: StudentConfig, num_heads: int) -> str:
    return (
        _ratio(student.heads**student.layers, num_heads)
        if student.layers * len(str(student.heads)) <= 300
        else "huge"
    )


def _ratio(upper: int, lower: int) -> str:
    ratio = upper / lower
    return f"{ratio:,.0f}x" if ratio >= 10 else f"{ratio:.2g}x"
