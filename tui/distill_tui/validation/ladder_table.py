"""The ladder with the student among it: skill as a dot on its interval, best first."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import DataTable

from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.metrics import Score
from distill_core.evaluation.report import Assessment
from distill_core.foreign_text import visible
from distill_core.wording import estimate_words

BAR_CELLS = 13
"""As wide as its caption."""


class LadderTable(DataTable[str | Text]):
    """Baselines and student, best mean cosine first; the columns that decide come first, too."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, fixed_columns=1)

    def on_mount(self) -> None:
        """Name the columns."""
        columns = (
            "",
            "skill",
            "0 ─ skill ─ 1",
            "student's lead",
            "parameters",
            "mean cosine",
            "min",
        )
        for name in columns:
            self.add_column(name, key=name or "name")

    def show(self, assessment: Assessment | None) -> None:
        """List the contestants of an assessment; None empties the table."""
        self.clear()
        for score in assessment.ranked() if assessment else ():
            self.add_row(*_cells(score), key=score.name)


def interval_bar(estimate: Estimate, cells: int = BAR_CELLS) -> str:
    """Draw `├──●─┤` on an axis from 0 to 1; what lies beyond an end is drawn at the end."""
    if estimate.value is None:
        return ""
    line = [" "] * cells
    if estimate.low is not None and estimate.high is not None:
        low, high = _cell(estimate.low, cells), _cell(estimate.high, cells)
        line[low : high + 1] = "─" * (high - low + 1)
        line[low], line[high] = "├", "┤"
    line[_cell(estimate.value, cells)] = "●"
    return "".join(line)


def _cell(value: float, cells: int) -> int:
    return round(min(max(value, 0.0), 1.0) * (cells - 1))


def _cells(score: Score) -> tuple[str | Text, ...]:
    is_student = score.name == "student"
    texts = (
        "▶ this student" if is_student else f"  {visible(score.label)}",
        estimate_words(score.skill, 3),
        interval_bar(score.skill),
        "" if score.skill_difference is None else estimate_words(score.skill_difference, 3),
        f"{score.cost.parameters:,}",
        estimate_words(score.mean_cosine, 4),
        "-" if score.cosine is None else f"{score.cosine.min:.4f}",
    )
    return tuple(Text(text, "bold" if is_student else "") for text in texts)
