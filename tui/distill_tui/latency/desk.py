"""What the app knows of latency, contestants and crossover: a measurement each, of one student at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import DatabaseError
from distill_core.latency.crossover import CrossoverFinished
from distill_core.latency.events import ContestantsFinished, LatencyFinished
from distill_core.latency.measurement import ContestantsSettings, CrossoverSettings, LatencySettings
from distill_core.students.spec import StudentConfig
from distill_tui.jobs import JobState
from distill_tui.teacher.desk import TeacherView
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    from textual.screen import Screen

    from distill_core.latency.measurement import Measurement
    from distill_core.runs import RecordedMeasurement, StudentToTime
    from distill_tui.app import DistillApp

Shape = tuple[StudentConfig, str, int]
"""What times depend on: the student, and its teacher's database and projection."""

NO_QUERIES = (
    "This projection has no questions with vectors, so there is nothing to time with. "
    "Choose another projection on screen 1."
)


@dataclass(frozen=True, slots=True)
class MeasurementView:
    """The present or the last measurement of one kind.

    Attributes:
        started: Its first event; None of one that was read from a run.
        progress: The last event before the result.
        finished: What was measured, also by one that was stopped or failed.
        trained: Whether the student is a run's; else an untrained one of the settings.
        run: The name of the run, if it is one that was opened from its folder.
        subject: Whose student is timed, against which teacher; empty of what was read from a run.
    """

    state: JobState = JobState.IDLE
    started: Any = None
    progress: Any = None
    finished: Any = None
    trained: bool = False
    run: str = ""
    subject: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True)
class MeasurementKind:
    """A kind of measurement that the app can make.

    Attributes:
        name: Of the job, of its screen if it has one, and of its files in a run's folder.
        load: Imports the class, on the measuring thread; it is called with a teacher, a student, queries
            of shape (n, d) and the settings.
        settings: What it is first made with; the run's settings give device and threads.
        result_type: Of its last event.
        screen: Makes a screen of its own, with a key and a place in the bar on top; None on screen 5.
    """

    name: str
    load: Callable[[], Callable[..., Measurement[Any, Any]]]
    settings: LatencySettings | CrossoverSettings
    result_type: type
    screen: Callable[[], Screen[None]] | None = None


def _engine(name: str) -> Callable[[], Callable[..., Measurement[Any, Any]]]:
    """Return what imports a measurement of the engine, which loads what times."""

    def load() -> Callable[..., Measurement[Any, Any]]:
        found: Callable[..., Measurement[Any, Any]] = getattr(import_module("distill_core.latency"), name)
        return found

    return load


MEASUREMENTS = [
    MeasurementKind("latency", _engine("LatencyComparison"), LatencySettings(), LatencyFinished),
    MeasurementKind("crossover", _engine("Crossover"), CrossoverSettings(), CrossoverFinished),
    MeasurementKind(
        "contestants", _engine("ContestantsComparison"), ContestantsSettings(), ContestantsFinished
    ),
]
"""Every kind, in one line: an app makes a desk for each, and a screen where it brings one."""


class MeasurementDesk(Desk[MeasurementView]):
    """One kind of measurement, and the shape of the student that its figures are of.

    Attributes:
        settings: Of the next one.
    """

    is_timing = True

    def __init__(self, app: DistillApp, kind: MeasurementKind) -> None:
        super().__init__(MeasurementView())
        self._app = app
        self._shape: Shape | None = None
        self._is_stale, self._starts_again, self._of_form = False, True, False
        self.kind = kind
        self.job_name = kind.name
        self.settings = kind.settings

    def start(self, *, of_form: bool = False, again: bool = True) -> bool:
        """Start to measure; False, and a word to the user, where that cannot be.

        Args:
            of_form: Whether to time an untrained student of the form's shape, whatever run is in hand.
            again: Whether to start once more, on what is there now, if the database has changed.
        """
        app, teacher = self._app, self._app.teacher.view
        if not app.latency.can_measure() or teacher is None:
            return False
        config = app.student.run_config(teacher)
        timed = app.latency.student_to_time(config, of_form=of_form)
        build = partial(self._made, teacher, config, timed)
        made: list[RecordedMeasurement[Any, Any]] = []
        self._is_stale, self._starts_again, self._of_form = False, again, of_form

        def events() -> Iterator[Any]:
            self._require_present(teacher, timed)
            made.append(build())
            return iter(made[0])

        def conclude() -> Iterator[Any]:
            return made[0].conclude() if made else iter(())

        if not app.jobs.start(self, events, conclude):
            return False
        self._shape = _shape(app.latency.timed_config(timed, config))
        run = app.latency.opened_name(timed)
        subject = app.latency.subject(timed, config, teacher)
        self.publish(MeasurementView(JobState.RUNNING, trained=timed.is_trained, run=run, subject=subject))
        return True

    def fold(self, events: tuple[Any, ...]) -> None:
        """Take in what the measurement has told: the start, steps, and the result at last."""
        view, result_type = self.view, self.kind.result_type
        for event in events:
            if isinstance(event, result_type):
                view = replace(view, finished=event)
            elif view.started is None:
                view = replace(view, started=event)
            else:
                view = replace(view, progress=event)
        self.publish(view)

    def show_state(self, state: JobState, error: str = "", trace: str = "") -> None:
        """Show how the measurement stands."""
        self.publish(replace(self.view, state=state, error=error, trace=trace))

    def conclude(self, outcome: JobState) -> None:
        """Hand what was measured on to whom it concerns."""
        if self._is_stale and outcome is JobState.FAILED:
            self.start(of_form=self._of_form, again=False)
            return
        self._app.latency.use(self)
        self._app.teacher.look()

    def show_stored(self, result: object, run: str) -> None:
        """Show what was measured before of an opened run, unless something is measured now."""
        if not self.view.state.is_active:
            self.publish(MeasurementView(finished=result, trained=True, run=run))

    def forget(self) -> None:
        """Forget what was measured, unless something is measured now."""
        if not self.view.state.is_active:
            self.publish(MeasurementView())

    def _made(
        self, view: TeacherView, config: RunConfig, timed: StudentToTime
    ) -> RecordedMeasurement[Any, Any]:
        """Make the measurement, on the measuring thread."""
        from distill_core.runs import RecordedMeasurement

        training, teacher = config.training, view.teacher
        settings = msgspec.structs.replace(self.settings, device=training.device, threads=training.threads)
        student = timed.load(teacher.dimension, teacher.num_heads)
        return RecordedMeasurement(self.kind.load()(teacher, student, view.queries, settings), timed.run)

    def _require_present(self, view: TeacherView, timed: StudentToTime) -> None:
        """Compare what is to be measured with what is on disk, on the measuring thread."""
        from distill_tui.teacher.loading import reread

        fresh = reread(view)
        self._app.jobs.tell(self._app.teacher.show_reread, fresh)
        if fresh is not None and not (isinstance(fresh, TeacherView) and view.shows_same(fresh)):
            self._is_stale = self._starts_again and isinstance(fresh, TeacherView)
            raise DatabaseError(f"{view.path} has changed since it was read.", "Measure again.")
        folder = timed.run
        data = None if folder is None else folder.read_data()
        if folder is not None and data and data.content_sha256 not in ("", view.present_content()):
            raise DatabaseError(
                f"{view.path} has changed since {folder.name} was trained; its student is not timed.",
                "Train anew, or restore the database.",
            )

    def keep_times_of(self, shape: Shape | None, run: str) -> None:
        """Forget what was measured of a student of another shape, and of an opened run but this one."""
        measured = self.view.run
        if not (measured == run if measured or run else shape == self._shape):
            self.publish(MeasurementView())


class LatencyDesk:
    """What screen 5 measures: of this run's student, of an opened run's, or of an untrained one.

    Attributes:
        by_name: The desk of each kind of measurement.
    """

    def __init__(self, app: DistillApp) -> None:
        self._app = app
        self.by_name = {kind.name: MeasurementDesk(app, kind) for kind in MEASUREMENTS}
        self.comparison, self.crossover, self.contestants = (
            self.by_name[name] for name in ("latency", "crossover", "contestants")
        )

    @property
    def all(self) -> Collection[MeasurementDesk]:
        """The desks, one for each kind."""
        return self.by_name.values()

    def can_measure(self) -> bool:
        """Tell the user what keeps a measurement from starting; True if nothing does."""
        app, teacher = self._app, self._app.teacher.view
        if teacher is None:
            app.notify("Choose a projection first.", severity="warning")
        elif not len(teacher.queries):
            app.notify(NO_QUERIES, title="Nothing to measure", severity="warning", markup=False)
        elif app.jobs.is_busy:
            words = f"The {app.jobs.job_name} is still going and would disturb the timing."
            app.notify(words, severity="warning")
        else:
            return True
        return False

    def student_to_time(self, config: RunConfig, *, of_form: bool = False) -> StudentToTime:
        """Return the opened run's student, else the last run's, else an untrained one of the form's shape."""
        from distill_core.runs import StudentToTime

        opened = None if of_form else self._opened_student()
        if opened is not None:
            return opened
        training = self._app.training
        run = training.run
        if of_form or run is None or run.session is None or not training.has_student_of(config):
            return StudentToTime(config.student)
        return StudentToTime.of_run(run.folder, run.session.student)

    def timed_config(self, timed: StudentToTime, config: RunConfig) -> RunConfig:
        """Return the settings of the last run, if its student is timed, else those asked for."""
        session = self._app.training.session
        return session.config if session is not None and timed.source is session.student else config

    def subject(self, timed: StudentToTime, config: RunConfig, teacher: TeacherView) -> str:
        """Say whose student is timed, and against which teacher."""
        num_heads, path = teacher.teacher.num_heads, teacher.path
        shape = self.timed_config(timed, config).student.words(teacher.teacher.dimension, num_heads)
        if timed.run is None:
            words = f"an untrained {shape}"
        elif self.opened_name(timed):
            words = f"run {timed.run.id}, trained"
        else:
            words = f"run {timed.run.id} ({shape}, trained)"
        return f"{words} against LDA N {num_heads} of {path.parent.name}/{path.name}"

    def opened_name(self, timed: StudentToTime) -> str:
        """Return the name of the opened run whose student is timed; empty if it is not an opened one's."""
        watched = self._app.training.view.watched
        is_opened = watched is not None and timed.run is not None and str(timed.run.path) == watched.path
        return watched.name if watched is not None and is_opened else ""

    def use(self, measured: MeasurementDesk) -> None:
        """Let a trained student be judged again by what it costs."""
        view = measured.view
        if measured is self.comparison and view.trained and view.finished is not None:
            self._app.training.judge_again(view.finished)

    def forget(self) -> None:
        """Forget what was measured of a teacher that the database holds no more."""
        for desk in self.all:
            desk.forget()

    def keep_times_of(self, config: RunConfig | None, run: str = "") -> None:
        """Forget what was measured of students of another shape, and of opened runs but this one."""
        shape = None if config is None else _shape(config)
        for desk in self.all:
            desk.keep_times_of(shape, run)

    def read_measured(self, path: str) -> None:
        """Read what was measured of a run that is opened, and show it."""

        def work() -> tuple[object, ...]:
            from distill_core.runs import RunFolder

            run = RunFolder(path)
            return tuple(run.read_result(desk.kind.name, desk.kind.result_type) for desk in self.all)

        show = partial(self._show_measured, path)
        self._app.jobs.ask(work, show, self._app.complain("Measurements not read"), "measured")

    def _show_measured(self, path: str, results: tuple[object, ...]) -> None:
        watched = self._app.training.view.watched
        if watched is None or watched.path != path:
            return  # another run is shown by now
        for desk, result in zip(self.all, results, strict=True):
            desk.show_stored(result, watched.name)

    def _opened_student(self) -> StudentToTime | None:
        """Return that of the run which is opened, if it has weights and is of the open projection."""
        from distill_core.runs import RunFolder, StudentToTime

        app = self._app
        watched, runs, teacher = app.training.view.watched, app.runs.view, app.teacher.view
        run = runs.find(watched.path) if watched is not None and runs is not None else None
        student = None if run is None else StudentToTime.of_run(RunFolder(run.path))
        if run is None or student is None or not student.is_there:
            return None
        if teacher is None or not teacher.is_of_run(run):
            app.notify(f"{run.name} is of another projection; it is not timed.", markup=False)
            return None
        return student


def _shape(config: RunConfig) -> Shape:
    return config.student.without_recipe(), config.data.database, config.data.mh_id
