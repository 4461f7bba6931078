"""Reading a database into what the screens show. Runs on a worker thread; touches no widget."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distill_core.database import LdaDatabase
from distill_core.teacher import effective_heads
from distill_tui.state import DatabaseView, TeacherView


def open_database(path: Path) -> DatabaseView:
    """Read the projections of a database.

    Raises:
        DatabaseError: It cannot be read.
    """
    with LdaDatabase(path) as database:
        return DatabaseView(database.path, database.projections())


def load_teacher(path: Path, mh_id: int) -> TeacherView:
    """Read one projection with its vectors and texts.

    Raises:
        DatabaseError: The projection or its vectors cannot be used.
    """
    with LdaDatabase(path) as database:
        teacher = database.teacher(mh_id)
        question_ids, queries = database.queries(mh_id)
        return TeacherView(
            path=database.path,
            projection=database.projection(mh_id),
            teacher=teacher,
            heads=database.heads(mh_id),
            question_ids=tuple(question_ids.tolist()),
            questions=dict(database.questions()),
            queries=queries,
            effective_heads=float(np.median(effective_heads(teacher.route(queries)))),
            remapping=database.remapping(mh_id),
            problems=database.problems(mh_id),
        )
