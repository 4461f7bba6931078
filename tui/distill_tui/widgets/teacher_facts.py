"""What there is to know of the chosen projection, in a few lines."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.architecture import lda_cost
from distill_tui.state import TeacherView


class TeacherFacts(Static):
    """N, d, tau, questions, effective heads, where the vectors were found, and what is wrong."""

    view: reactive[TeacherView | None] = reactive(None)

    def watch_view(self, view: TeacherView | None) -> None:
        """Show another projection."""
        self.update(_facts(view) if view else Text("No database is open: press o.", "dim"))


def _facts(view: TeacherView) -> Text:
    projection, teacher = view.projection, view.teacher
    cost = lda_cost(teacher.num_heads, teacher.dimension)
    share = view.effective_heads / teacher.num_heads
    text = Text()
    text.append(f"{projection.name or f'projection {projection.id}'}\n", "bold")
    text.append(f"heads N            {teacher.num_heads}\n")
    text.append(f"dimension d        {teacher.dimension}\n")
    text.append(f"temperature τ      {teacher.temperature:g}\n")
    text.append(f"questions          {len(view.question_ids):,}\n")
    text.append(f"effective heads    {view.effective_heads:.1f} of {teacher.num_heads} (median)\n")
    text.append(f"parameters         {cost.parameters:,}\n")
    text.append(f"model              {projection.model}\n")
    if share > 0.5:
        text.append(
            "Nearly every head takes part in every answer: a constant will come close to this teacher.\n",
            "bold",
        )
    for problem in view.problems:
        text.append(
            f"{problem.severity}: {problem.message} {problem.hint}\n",
            "bold" if problem.severity == "error" else "",
        )
    return text
