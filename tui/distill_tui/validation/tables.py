"""The tables of screen 4 and its verdict."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.reactive import reactive, var
from textual.widgets import Static

from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.metrics import Evaluation, Score
from distill_core.evaluation.report import Assessment
from distill_core.evaluation.verdict import Verdict
from distill_core.foreign_text import beginning, visible
from distill_core.training.events import TestEvaluated
from distill_core.wording import estimate_words
from distill_tui.teacher.desk import TeacherView
from distill_tui.training.desk import TrainingView
from distill_tui.ui.table import RowTable


class VerdictPanel(Static):
    """Says what to do in bold, and why below."""

    verdict: var[Verdict | None] = var(None)
    placeholder: var[str] = var("")

    def watch_verdict(self) -> None:
        """Show another verdict."""
        self._show()

    def watch_placeholder(self) -> None:
        """Say something else while there is no verdict."""
        self._show()

    def _show(self) -> None:
        if self.verdict is None:
            self.update(Text(self.placeholder, "dim"))
            return
        text = Text(visible(self.verdict.sentence, 600), "bold")
        for reason in self.verdict.reasons:
            text.append(f"\n· {visible(reason, 600)}", "not bold")
        text.append(f"\nWhat would change it: {self.verdict.would_change}", "not bold dim")
        self.update(text)


BAR_CELLS = 13
"""As wide as its caption."""


class LadderTable(RowTable[str | Text]):
    """Baselines and student, best mean cosine first; the columns that decide come first, too."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, fixed_columns=1)

    def on_mount(self) -> None:
        """Name the columns."""
        columns = (
            "",
            "skill",
            "student's lead",
            "0 ─ skill ─ 1",
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
            self.add_row(*_score_cells(score), key=score.name)


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


def _score_cells(score: Score) -> tuple[str | Text, ...]:
    is_student = score.name == "student"
    texts = (
        "▶ this student" if is_student else f"  {visible(score.label)}",
        estimate_words(score.skill, 3),
        "" if score.skill_difference is None else estimate_words(score.skill_difference, 3),
        interval_bar(score.skill),
        f"{score.cost.parameters:,}",
        estimate_words(score.mean_cosine, 4),
        "-" if score.cosine is None else f"{score.cosine.min:.4f}",
    )
    return tuple(Text(text, "bold" if is_student else "") for text in texts)


class PublishedTable(Static):
    """Mean, sd, min and max of the cosine, and the MSE, against the published figures and expectations."""

    evaluation: reactive[Evaluation | None] = reactive(None)

    def watch_evaluation(self, evaluation: Evaluation | None) -> None:
        """Show another evaluation."""
        self.update(_table(evaluation) if evaluation else Text(""))


def _table(evaluation: Evaluation) -> Table:
    cosine = evaluation.cosine
    table = Table.grid(padding=(0, 1))
    for justify in ("left", "right", "right", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_row("cosine", "here", "published", "expected", "", style="bold")
    table.add_row("mean", f"{cosine.mean:.4f}", "0.9928", "> 0.99", _met(met=cosine.mean > 0.99))
    table.add_row("min", f"{cosine.min:.4f}", "0.9827", "> 0.98", _met(met=cosine.min > 0.98))
    table.add_row("sd", f"{cosine.sd:.4f}", "0.0027", "< 0.01", _met(met=cosine.sd < 0.01))
    table.add_row("max", f"{cosine.max:.4f}", "0.9954", "", "")
    table.add_row("5th percentile", f"{cosine.p5:.4f}", "", "", "")
    table.add_row("MSE", f"{evaluation.mse:.2e}", "", "", "")
    return table


def _met(*, met: bool) -> str:
    return "met" if met else "not met"


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


class RetrievalGrid(RowTable[str]):
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


MAX_WORST = 100
QUESTION_CELLS, ANSWER_CELLS, DETAIL_CHARACTERS = 60, 40, 600


class WorstQueries(RowTable[Text]):
    """Worst cosine first, with the question; `detail` has the rest of the one under the cursor."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._view: TrainingView | None = None
        self._order: list[int] = []

    def on_mount(self) -> None:
        """Name the columns."""
        for name in ("cosine", "answer", "question", "true cluster"):
            self.add_column(name, key=name)

    def show(self, view: TrainingView) -> None:
        """List the worst queries of a run; one that is not judged yet empties the table."""
        self.clear()
        self._view, self._order = view, []
        if view.tested is None or view.teacher is None:
            return
        order = sorted(range(len(view.tested.cosines)), key=view.tested.cosines.__getitem__)
        self._order = order[:MAX_WORST]
        for row in self._order:
            self.add_row(
                *_query_cells(view.teacher, view.tested, row), key=str(view.tested.question_ids[row])
            )

    @property
    def detail(self) -> Text:
        """The whole question under the cursor, with the best answers of teacher and student."""
        view = self._view
        if view is None or view.tested is None or view.teacher is None or not self._order:
            return Text("")
        row = self._order[min(self.cursor_row, len(self._order) - 1)]
        teacher, tested = view.teacher, view.tested
        question_id = tested.question_ids[row]
        text = Text()
        for title, words in (
            ("question", teacher.question_text(question_id)),
            ("LDA's answer", _answer(teacher, tested.teacher_answers, row)),
            ("student's answer", _answer(teacher, tested.student_answers, row)),
            ("true cluster", teacher.cluster_names(question_id)),
            ("cosine", f"{tested.cosines[row]:.4f} between the two projections; {_agreement(tested, row)}"),
        ):
            text.append(f"{title:<17}", "dim").append(f"{visible(words, DETAIL_CHARACTERS)}\n")
        return text


def _query_cells(teacher: TeacherView, tested: TestEvaluated, row: int) -> tuple[Text, ...]:
    """Return a row; as Text, because a table reads square brackets in a str as markup."""
    question_id = tested.question_ids[row]
    texts = (
        f"{tested.cosines[row]:.4f}",
        _agreement(tested, row).partition(" ")[0],
        beginning(teacher.question_text(question_id), QUESTION_CELLS),
        beginning(teacher.cluster_names(question_id), ANSWER_CELLS),
    )
    return tuple(Text(text) for text in texts)


def _agreement(tested: TestEvaluated, row: int) -> str:
    """Say whether teacher and student find the same answer first; a dash where there are none."""
    if not tested.teacher_answers or not tested.student_answers:
        return "-"
    is_same = tested.teacher_answers[row] == tested.student_answers[row]
    return "same answer first" if is_same else "other answer first"


def _answer(teacher: TeacherView, answers: tuple[int, ...], row: int) -> str:
    """Return the answer that is found first, with its clusters."""
    if not answers:
        return "-"
    answer = teacher.answers.get(answers[row])
    if answer is None:
        return f"answer {answers[row]}"
    names = {head.cluster_id: head.cluster_name for head in teacher.heads}
    clusters = ", ".join(names.get(cluster, "") for cluster in answer.cluster_ids)
    return f"{beginning(clusters, ANSWER_CELLS)}: {answer.text}"
