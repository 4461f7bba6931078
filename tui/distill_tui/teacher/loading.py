"""Reading a database into what the screens show. Runs on a worker thread; touches no widget."""

from __future__ import annotations

from pathlib import Path

from distill_core.database import LdaDatabase
from distill_core.errors import ProjectionNotFoundError
from distill_core.evaluation.health import HealthProbe
from distill_core.teacher_data import read_questions
from distill_tui.teacher.desk import DatabaseView, TeacherView


def open_database(path: Path) -> DatabaseView:
    """Read the projections of a database.

    Raises:
        DatabaseError: It cannot be read, or holds no projection.
    """
    with LdaDatabase(path) as database:
        projections = database.projections()
        if not projections:
            raise ProjectionNotFoundError(
                f"{database.path} holds no multi-head projection.", "Train a multi-head projection first."
            )
        return DatabaseView(database.path, projections)


def load_teacher(path: Path, mh_id: int) -> TeacherView:
    """Read one projection with its vectors and texts.

    Raises:
        DatabaseError: The projection or its vectors cannot be used.
    """
    with LdaDatabase(path) as database:
        labelled = read_questions(database, mh_id)
        probe = HealthProbe(labelled.teacher, labelled.queries, labelled.answers, labelled.true_answers)
        return TeacherView(
            path=database.path,
            projection=database.projection(mh_id),
            teacher=labelled.teacher,
            heads=database.heads(mh_id),
            question_ids=tuple(labelled.question_ids.tolist()),
            questions=dict(database.questions()),
            queries=labelled.queries,
            answers=dict(database.answer_records()),
            labelled=labelled,
            probe=probe,
            health=probe.at(),
            problems=database.problems(mh_id),
        )
