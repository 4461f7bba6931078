"""Reading a database into what the screens show. Runs on a worker thread; touches no widget."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from distill_core.database import Progress, open_database, untold
from distill_core.database.paths import stamp_of
from distill_core.errors import DistillError, ProjectionNotFoundError
from distill_core.evaluation.health import HealthProbe, known_health
from distill_core.teacher_data import content_sha256, read_questions
from distill_tui.teacher.desk import DatabaseView, TeacherView, question_text

if TYPE_CHECKING:
    from distill_core.runs import RecordedRun


def read_database(path: Path, progress: Progress = untold) -> DatabaseView:
    """Read the projections of a database.

    Raises:
        DatabaseError: It cannot be read, or holds no projection.
    """
    with open_database(path, progress=progress) as database:
        projections = database.projections()
        if not projections:
            raise ProjectionNotFoundError(
                f"{database.path} holds no multi-head projection.", "Train a multi-head projection first."
            )
        return DatabaseView(database.path, projections)


def load_teacher(path: Path, mh_id: int, progress: Progress = untold) -> TeacherView:
    """Read one projection with its vectors and texts, and look at its health.

    Args:
        path: The database.
        mh_id: The projection.
        progress: Is told how far it is; what it raises ends the reading.

    Raises:
        DatabaseError: The projection or its vectors cannot be used.
    """
    with open_database(path, progress=progress) as database:
        stamps = database.stamps(mh_id)
        labelled = read_questions(database, mh_id)
        content = content_sha256(labelled)
        probe = cache(partial(HealthProbe, labelled, progress=progress))
        return TeacherView(
            path=database.path,
            projection=database.projection(mh_id),
            teacher=labelled.teacher,
            heads=database.heads(mh_id),
            question_ids=tuple(labelled.question_ids.tolist()),
            questions=(questions := database.questions()),
            searched=[question_text(questions, number).lower() for number in labelled.question_ids.tolist()],
            queries=labelled.queries,
            answers=database.answer_records(),
            labelled=labelled,
            probe=probe,
            health=known_health(probe, content, labelled.teacher.temperature, labelled.weights),
            problems=database.problems(mh_id),
            projections=database.projections(),
            content=content,
            stamps=stamps,
            contents={labelled.teacher.temperature: content},
        )


def whole_health(view: TeacherView, progress: Progress) -> TeacherView:
    """Return the projection with figures on all of its questions, however long that takes."""
    labelled = replace(view.labelled, teacher=view.teacher)
    return replace(view, health=HealthProbe(labelled, whole=True, progress=progress).at())


def reread(view: TeacherView) -> TeacherView | DatabaseView | None:
    """Read a projection again if one of its files has changed; None if none has.

    Returns:
        The projection, which may be the same all the same; the database if it has this projection no more.

    Raises:
        DatabaseError: It is gone, or cannot be read now.
    """
    if all(stamp_of(path) == stamp for path, stamp in view.stamps.items()):
        return None
    try:
        return load_teacher(view.path, view.projection.id)
    except ProjectionNotFoundError:
        return read_database(view.path)


def teacher_read(
    view: TeacherView, run: RecordedRun
) -> tuple[TeacherView | None, TeacherView | DatabaseView | None]:
    """Compare what a run that has just started has read with the projection that is shown.

    Returns:
        The projection that the run has, if it can still be read; and what is shown as it is now, if that
        has changed.
    """
    session = run.session
    if session is None or session.data is None:
        return view, None
    labelled = session.data.labelled
    read, fresh = content_sha256(labelled), None
    with contextlib.suppress(DistillError):  # gone, moved or being written to: what the run read still counts
        fresh = reread(view)
    if view.present_content() == read:
        return view, fresh
    if isinstance(fresh, TeacherView):
        of_run = fresh.at(labelled.teacher.temperature)
        if of_run.present_content() == read:
            return of_run, fresh
    return None, fresh
