"""The test queries that the student gets most wrong."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import DataTable

from distill_core.foreign_text import beginning
from distill_core.training.events import TestEvaluated
from distill_tui.teacher.desk import TeacherView
from distill_tui.training.desk import TrainingView

MAX_WORST = 100
QUESTION_CELLS, ANSWER_CELLS = 44, 40


class WorstQueries(DataTable[Text]):
    """Worst cosine first, with the true cluster and the best answers of teacher and student."""

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's own parameter
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)

    def on_mount(self) -> None:
        """Name the columns."""
        for name in ("cosine", "true cluster", "question", "LDA's answer", "student's answer"):
            self.add_column(name, key=name)

    def show(self, view: TrainingView) -> None:
        """List the worst queries of a run; one that is not judged yet empties the table."""
        self.clear()
        if view.tested is None or view.teacher is None:
            return
        order = sorted(range(len(view.tested.cosines)), key=view.tested.cosines.__getitem__)
        for row in order[:MAX_WORST]:
            self.add_row(*_cells(view.teacher, view.tested, row), key=str(view.tested.question_ids[row]))


def _cells(teacher: TeacherView, tested: TestEvaluated, row: int) -> tuple[Text, ...]:
    """Return a row; as Text, because a table reads square brackets in a str as markup."""
    question_id = tested.question_ids[row]
    texts = (
        f"{tested.cosines[row]:.4f}",
        beginning(teacher.cluster_names(question_id), ANSWER_CELLS),
        beginning(teacher.question_text(question_id), QUESTION_CELLS),
        *(_answer(teacher, answers, row) for answers in (tested.teacher_answers, tested.student_answers)),
    )
    return tuple(Text(text) for text in texts)


def _answer(teacher: TeacherView, answers: tuple[int, ...], row: int) -> str:
    if not answers:
        return "-"
    answer = teacher.answers.get(answers[row])
    if answer is None:
        return f"answer {answers[row]}"
    names = {head.cluster_id: head.cluster_name for head in teacher.heads}
    clusters = ", ".join(names.get(cluster, "") for cluster in answer.cluster_ids)
    return f"{beginning(clusters, ANSWER_CELLS)}: {beginning(answer.text, ANSWER_CELLS)}"
