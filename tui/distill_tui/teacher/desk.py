"""What the app knows of the teacher: the open database, and the projection chosen of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from distill_core.errors import DistillError
from distill_core.foreign_text import beginning
from distill_tui import places
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from distill_core.config import RunConfig
    from distill_core.database import Answer, Head, Problem, Progress, Projection, Question
    from distill_core.evaluation.health import HealthProbe, TeacherHealth
    from distill_core.runs import RunSummary
    from distill_core.teacher import MultiHeadLDA
    from distill_core.teacher_data import LabelledQuestions
    from distill_tui.app import DistillApp

View = TypeVar("View")


_SMALL = 1 << 21
"""Queries looked at, times heads: up to so many, another temperature is looked at where it is asked for."""

TOLD_SECONDS = 0.1
"""How often a reading tells how far it is."""


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """An opened database, for the table of projections."""

    path: Path
    projections: tuple[Projection, ...]


@dataclass(frozen=True, slots=True)
class TeacherView:
    """A loaded projection with everything the screens show of it.

    Attributes:
        teacher: At the temperature that is looked at; runs use it, too.
        queries: (n, d) float32, in the order of `question_ids`.
        searched: The questions' texts in lower case, in the order of `question_ids`.
        answers: The answers with their texts, by id.
        labelled: Queries, clusters and true answers, as the evaluation takes them.
        probe: Makes, once, what gives the health at any temperature.
        health: At the teacher's temperature.
        problems: Errors and notes of this projection.
        projections: All that the database held when this one was read.
        content: Identity of what a run would read of it at the stored temperature.
        stamps: What changes with each file that it was read from, as it was before.
        contents: The identities that were asked for, by temperature.
    """

    path: Path
    projection: Projection
    teacher: MultiHeadLDA
    heads: tuple[Head, ...]
    question_ids: tuple[int, ...]
    questions: Mapping[int, Question]
    queries: NDArray[np.float32]
    searched: Sequence[str]
    answers: Mapping[int, Answer]
    labelled: LabelledQuestions
    probe: Callable[[], HealthProbe]
    health: TeacherHealth
    problems: tuple[Problem, ...]
    projections: tuple[Projection, ...]
    content: str
    stamps: dict[str, object]
    contents: dict[float, str]

    @property
    def chosen_temperature(self) -> float | None:
        """The temperature, where it is not the stored one."""
        tau = self.teacher.temperature
        return None if tau == self.projection.temperature else tau

    @property
    def is_small(self) -> bool:
        """Whether another temperature costs milliseconds."""
        return self.health.num_looked_at * self.teacher.num_heads <= _SMALL

    def at(self, temperature: float) -> TeacherView:
        """Return the same projection at another temperature; of a large one that takes seconds."""
        from distill_core.evaluation.health import known_health

        moved = replace(self, teacher=self.teacher.with_temperature(temperature))
        if self.is_small:
            return replace(moved, health=self.probe().at(temperature))
        content = moved.present_content()
        health = known_health(self.probe, content, temperature, self.labelled.weights)
        return replace(moved, health=health)

    def shows_same(self, other: TeacherView) -> bool:
        """Tell whether another reading of this projection has all that is shown of it."""
        return self.content == other.content and all(
            getattr(self, name) == getattr(other, name)
            for name in ("projection", "heads", "questions", "answers", "projections")
        )

    def question_text(self, question_id: int) -> str:
        """Return a question's text in full; a vector without a text says so."""
        return question_text(self.questions, question_id)

    def cluster_names(self, question_id: int) -> str:
        """Return the names of the clusters a question belongs to, for people."""
        question = self.questions.get(question_id)
        clusters = question.cluster_ids if question else ()
        names = {head.cluster_id: head.cluster_name for head in self.heads if head.cluster_id in clusters}
        return beginning(", ".join(names.get(cluster, f"cluster {cluster}") for cluster in clusters))

    def is_teacher_of(self, config: RunConfig) -> bool:
        """Tell whether this is the projection that settings are for, at whatever temperature."""
        return self.projection.id == config.data.mh_id and is_same(self.path, Path(config.data.database))

    def is_of_run(self, run: RunSummary) -> bool:
        """Tell whether a run was trained on this projection as it is, at its present temperature."""
        return (
            self.projection.id == run.projection
            and is_same(self.path, Path(run.database))
            and run.temperature in (None, self.teacher.temperature)
            and (not run.content_sha256 or run.content_sha256 == self.present_content())
        )

    def present_content(self) -> str:
        """Return the identity of what a run reads of the projection at the temperature looked at."""
        from distill_core.teacher_data import content_sha256

        tau = self.teacher.temperature
        if tau not in self.contents:
            self.contents[tau] = content_sha256(replace(self.labelled, teacher=self.teacher))
        return self.contents[tau]


class ReadingCancelledError(Exception):
    """Nobody wants any more what is being read."""


class Reading:
    """Something that is read in a thread; the UI thread is told how far it is, and may cancel it.

    Args:
        tell: Takes on the UI thread, in words, how far it is.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._told = 0.0
        self.is_cancelled = False

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell how far it is; on the thread that reads.

        Raises:
            ReadingCancelledError: It was cancelled.
        """
        if self.is_cancelled:
            raise ReadingCancelledError
        if (now := time.monotonic()) - self._told >= TOLD_SECONDS:
            self._told = now
            self._tell(f"reading {done:,} of {total:,} {what}")


class TeacherDesk(Desk["TeacherView | None"]):
    """The chosen projection; None before one is read.

    Attributes:
        database: The open database.
        reading: What is being read, in words; empty if nothing is.
    """

    def __init__(self, app: DistillApp) -> None:
        super().__init__(None)
        self._app = app
        self.database: Desk[DatabaseView | None] = Desk(None)
        self.reading = Desk("")
        self._reading: Reading | None = None
        self._wanted_temperature: float | None = None

    def open(self, path: Path) -> None:
        """Start reading a database; what is shown stays until it is read."""

        def work(progress: Progress) -> DatabaseView:
            from distill_tui.teacher.loading import read_database

            return read_database(path, progress)

        self._read(f"opening {path.name}", work, self.show_database)

    def choose_projection(self, mh_id: int) -> None:
        """Start reading one projection of the open database."""
        database = self.database.view
        if database is None:
            return

        def work(progress: Progress) -> TeacherView:
            from distill_tui.teacher.loading import load_teacher

            return load_teacher(database.path, mh_id, progress)

        self._read(f"reading projection {mh_id}", work, self.show_teacher)

    def look_at_all(self) -> None:
        """Start looking at every question, where the figures are about a sample."""
        view = self.view
        if view is None:
            return

        def work(progress: Progress) -> TeacherView:
            from distill_tui.teacher.loading import whole_health

            return whole_health(view, progress)

        def show(whole: TeacherView) -> None:
            if self.view is view:
                self.publish(whole)

        self._read("looking at all questions", work, show)

    @property
    def is_reading(self) -> bool:
        """Whether something is read that can be cancelled."""
        return self._reading is not None

    def cancel_reading(self) -> None:
        """Leave what is being read; what was shown stays."""
        if self._reading is not None:
            self._reading.is_cancelled = True
            self._app.runs.forget_waiting_settings()
            self._end_reading()

    def _read(self, words: str, work: Callable[[Progress], View], then: Callable[[View], object]) -> None:
        """Do something in a thread that tells how far it is; what was read before it is left."""

        def told(words: str) -> None:
            self._app.jobs.tell(lambda words: self._show_reading(reading, words), words)

        def task() -> View | None:
            try:
                return work(reading.progress)
            except ReadingCancelledError:
                return None

        def done(view: View | None) -> None:
            if view is not None and not reading.is_cancelled:
                then(view)

        def failed(error: DistillError) -> None:
            if not reading.is_cancelled:
                self.say_not_opened(error)

        if self._reading is not None:
            self._reading.is_cancelled = True
        reading = self._reading = Reading(told)
        self._show_reading(reading, words)
        self._app.jobs.ask(task, done, failed)
        self._app.refresh_bindings()

    def _show_reading(self, reading: Reading, words: str) -> None:
        if reading is self._reading:
            self.reading.publish(words)
            self._app.busy_with.publish(words)

    def _end_reading(self) -> None:
        self._reading = None
        self.reading.publish("")
        self._app.busy_with.publish("")
        self._app.refresh_bindings()

    @property
    def temperature(self) -> float | None:
        """The temperature that was asked for last, also while it is looked at; None without a projection."""
        shown = None if self.view is None else self.view.teacher.temperature
        return shown if self._wanted_temperature is None else self._wanted_temperature

    def look_at(self, temperature: float) -> None:
        """Show the projection at another temperature, in a while if it is a large one."""
        view = self.view
        if view is None:
            return
        if view.is_small:
            self.publish(view.at(temperature))
            return

        def show(moved: TeacherView) -> None:
            self._app.busy_with.publish("")
            if self._wanted_temperature == moved.teacher.temperature:
                self._wanted_temperature = None
            if self.view is not None and is_reread(self.view, moved):
                self.publish(moved)

        self._wanted_temperature = temperature
        self._app.busy_with.publish(f"looking at τ {temperature:g}")
        self._app.jobs.ask(lambda: view.at(temperature), show, self._app.complain("Not looked at"), "look at")

    def look(self) -> None:
        """See whether the database still holds what is shown; what differs is shown anew."""
        view = self.view
        if view is None:
            return

        def work() -> TeacherView | DatabaseView | None:
            from distill_tui.teacher.loading import reread

            return reread(view)

        self._app.jobs.ask(work, self.show_reread, self._app.complain("Not read anew"), "look")

    def show_reread(self, fresh: TeacherView | DatabaseView | None) -> None:
        """Show what the open projection has become, and say so where that is something else."""
        view = self.view
        if fresh is None or view is None or fresh.path != view.path:
            return
        words = f"{fresh.path} has changed since it was read; it is shown as it is now."
        if isinstance(fresh, DatabaseView):
            self._say_changed(f"{words} Projection {view.projection.id} is gone.")
            self.show_database(fresh)
        elif fresh.projection.id != view.projection.id:
            return  # another one was chosen, and read, meanwhile
        elif view.shows_same(fresh):
            self.publish(replace(view, stamps=fresh.stamps))
        else:
            tau = view.chosen_temperature
            self._show_projection(fresh if tau is None else fresh.at(tau))
            self._say_changed(words)

    def show_database(self, view: DatabaseView) -> None:
        """Show a database that was read, and go on to its projection that is wanted, else its first."""
        places.remember(view.path)
        self._end_reading()
        self.database.publish(view)
        if view.projections:
            wanted = self._app.runs.wanted_projection
            is_known = any(wanted == known.id for known in view.projections)
            self.choose_projection(wanted if wanted is not None and is_known else view.projections[0].id)

    def show_teacher(self, view: TeacherView) -> None:
        """Show a projection that was read; its N gives the student another default shape."""
        database = self.database.view
        if database is not None and view.path != database.path:
            return  # read for a database that another one has replaced since
        self._end_reading()
        self._wanted_temperature = None
        self._show_projection(view)
        self._app.runs.take_waiting_settings(view)
        self._app.refresh_bindings()

    def _show_projection(self, view: TeacherView) -> None:
        database, before = self.database.view, self.view
        if database is not None and database.projections != view.projections:
            self.database.publish(replace(database, projections=view.projections))
        if words := self._app.student.suit(view, before):
            self._app.notify(words, title="Settings changed", timeout=12)
        self.publish(view)
        if before is not None and is_reread(before, view) and before.content != view.content:
            self._app.latency.forget()

    def _say_changed(self, words: str) -> None:
        self._app.notify(words, title="Database changed", severity="warning", timeout=12, markup=False)

    def say_not_opened(self, error: DistillError) -> None:
        """Tell why a database or a projection cannot be used."""
        self._end_reading()
        self._app.runs.forget_waiting_settings()
        self._app.complain("Not opened")(error)


def question_text(questions: Mapping[int, Question], question_id: int) -> str:
    """Return a question's text in full; a vector without a text says so."""
    question = questions.get(question_id)
    return question.text if question else f"(question {question_id} has no text)"


def is_reread(before: TeacherView, view: TeacherView) -> bool:
    """Tell whether a view is another reading of the projection that was shown before."""
    return before.path == view.path and before.projection.id == view.projection.id


def is_same(database: Path, other: Path) -> bool:
    """Tell whether two paths name the same file, wherever each was given from."""
    return database.absolute() == other.absolute()
