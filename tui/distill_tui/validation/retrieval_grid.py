"""Agreement with the teacher, and success against the true answers, of every contestant."""

from __future__ import annotations

from textual.widgets import DataTable

from distill_core.evaluation.report import Assessment
from distill_core.wording import estimate_words

_FIGURES = {
    "agreement@10": "agreement_at_10",
    "Recall@1": "recall_at_1",
    "Recall@10": "recall_at_10",
    "MRR": "mrr",
    "agreement@1": "agreement_at_1",
    "@5": "agreement_at_5",
}
_CHANCE = ("agreement@1", "@5", "agreement@10")
"""The figures that chance has, in the order of `RetrievalTable.chance`."""


class RetrievalGrid(DataTable[str]):
    """One row a contestant, chance last."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, fixed_columns=1)

    def on_mount(self) -> None:
        """Name the columns."""
        for name in ("", *_FIGURES):
            self.add_column(name, key=name or "name")

    def show(self, assessment: Assessment | None) -> None:
        """List the contestants of an assessment, named as in the ladder; None empties the grid."""
        self.clear()
        table = assessment.retrieval if assessment else None
        if assessment is None or table is None:
            return
        labels = {score.name: score.label for score in assessment.baselines}
        for scores in table.scores:
            figures = (estimate_words(getattr(scores, field), 3) for field in _FIGURES.values())
            self.add_row(labels.get(scores.name, scores.name), *figures, key=scores.name)
        chance = dict(zip(_CHANCE, (f"{level:.3f}" for level in table.chance), strict=True))
        levels = (chance.get(figure, "") for figure in _FIGURES)
        self.add_row(f"chance ({table.num_answers} answers)", *levels, key="chance")
