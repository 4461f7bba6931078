"""The only file that starts threads: the engine's work in, Textual messages out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_tui.job import Job
from distill_tui.messages import (
    DatabaseOpened,
    JobEnded,
    JudgedAgain,
    LatencyProgressed,
    LoadFailed,
    StudentSaved,
    TeacherLoaded,
    TrainingProgressed,
)
from distill_tui.state import JobState, TeacherView

if TYPE_CHECKING:
    from distill_core.latency.events import LatencyEvent, LatencyFinished
    from distill_core.training import RunStarted, TrainingSession


class Controller:
    """Runs one engine job at a time, and loads databases beside it.

    A cancelled Textual thread goes on running, so this class keeps its own states: a job is active until
    its thread has posted its one `JobEnded`. All methods belong to the UI thread.

    Attributes:
        state: Of the present or the last job.
        job_name: "training" or "latency"; which job `state` is about.
        session: The last training session whose student can be timed and saved; None before the first.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._job: Job[Any] | None = None
        self._sessions: list[TrainingSession] = []
        self.state = JobState.IDLE
        self.job_name = ""
        self.session: TrainingSession | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job is active, paused ones included."""
        return self.state.is_active

    def open_database(self, path: Path) -> None:
        """Read the projections of a database; ends in `DatabaseOpened` or `LoadFailed`."""

        def work() -> DatabaseOpened:
            from distill_tui.loading import open_database

            return DatabaseOpened(open_database(path))

        self._load(work)

    def load_teacher(self, path: Path, mh_id: int) -> None:
        """Read one projection with its vectors; ends in `TeacherLoaded` or `LoadFailed`."""

        def work() -> TeacherLoaded:
            from distill_tui.loading import load_teacher

            return TeacherLoaded(load_teacher(path, mh_id))

        self._load(work)

    def start_training(self, config: RunConfig) -> bool:
        """Start a run; False when a job is active already."""
        if self.is_busy:
            return False
        sessions = self._sessions = []

        def events() -> Iterator[Any]:
            from distill_core.training import TrainingSession

            sessions.append(TrainingSession(config))
            return iter(sessions[0])

        def conclude() -> Iterator[Any]:
            return sessions[0].conclude()

        return self._start("training", Job(events, self._post_training, conclude))

    def start_latency(self, view: TeacherView, config: RunConfig) -> bool:
        """Compare latency: the trained student if there is one of this shape, else an untrained one."""
        session = self.session if self.has_student_for(config) else None

        def events() -> Iterator[LatencyEvent]:
            from distill_core.latency import LatencySettings, compare_latency
            from distill_core.students import ProjectionTransformer

            student = session.student if session else None
            if student is None:
                student = ProjectionTransformer.from_config(config.student, view.teacher.dimension)
            settings = LatencySettings(device=config.training.device, threads=config.training.threads)
            yield from compare_latency(view.teacher, student, view.queries, settings)

        return self._start("latency", Job(events, self._post_latency))

    def judge_again(self, run: RunStarted, measured: LatencyFinished) -> None:
        """Judge the last student anew, with its measured cost; ends in `JudgedAgain`."""
        session = self.session
        if session is None:
            return

        def judge() -> JudgedAgain:
            try:
                return JudgedAgain(run, tuple(session.conclude(measured)))
            except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
                return JudgedAgain(run, (), f"{type(error).__name__}: {error}")

        self._in_thread(lambda: self._app.post_message(judge()), group="judge")

    def has_student_for(self, config: RunConfig) -> bool:
        """Whether the last run's student is of this shape and from this projection."""
        session = self.session
        if session is None or session.student is None:
            return False
        return session.config.student == config.student and session.config.data == config.data

    def pause(self) -> None:
        """Pause a running job."""
        if self._job and self.state is JobState.RUNNING:
            self.state = JobState.PAUSED
            self._job.pause()

    def resume(self) -> None:
        """Go on with a paused job."""
        if self._job and self.state is JobState.PAUSED:
            self.state = JobState.RUNNING
            self._job.resume()

    def stop(self) -> None:
        """Ask the active job to end; its thread still has its last word."""
        if self._job and self.state.is_active:
            self.state = JobState.STOPPING
            self._job.stop()

    def finish(self, outcome: JobState) -> None:
        """Note that the thread has ended, when its `JobEnded` arrives."""
        self.state = outcome
        self._job = None
        if self._sessions and outcome is not JobState.FAILED:
            self.session = self._sessions[0]
        self._sessions = []

    def save_student(self, path: Path) -> None:
        """Write the last student's weights; ends in `StudentSaved`."""
        session = self.session
        if session is None or session.student is None or self.is_busy:
            return
        student = session.student

        def save() -> StudentSaved:
            from distill_core.students import save_student

            try:
                return StudentSaved(str(save_student(student, path, session.config)))
            except DistillError as error:
                return StudentSaved(str(path), str(error))

        self._in_thread(lambda: self._app.post_message(save()), group="save")

    def _start(self, name: str, job: Job[Any]) -> bool:
        if self.is_busy:
            return False
        self._job, self.job_name, self.state = job, name, JobState.RUNNING
        self._in_thread(lambda: self._app.post_message(JobEnded(name, *job.run())), group="engine")
        return True

    def _load(self, work: Callable[[], DatabaseOpened | TeacherLoaded]) -> None:
        def load() -> None:
            try:
                self._app.post_message(work())
            except DistillError as error:
                self._app.post_message(LoadFailed(error.message, error.hint))
            except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
                self._app.post_message(LoadFailed(f"{type(error).__name__}: {error}", ""))

        self._in_thread(load, group="load")

    def _in_thread(self, work: Callable[[], object], group: str) -> None:
        self._app.run_worker(work, group=group, thread=True, exit_on_error=False)

    def _post_training(self, events: tuple[Any, ...]) -> None:
        self._app.post_message(TrainingProgressed(events))

    def _post_latency(self, events: tuple[Any, ...]) -> None:
        self._app.post_message(LatencyProgressed(events))
