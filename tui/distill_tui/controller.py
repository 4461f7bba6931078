"""The only file that starts threads: the engine's work in, Textual messages out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.message import Message

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_tui.job import Job
from distill_tui.messages import (
    ContestantsProgressed,
    CrossoverProgressed,
    DatabaseOpened,
    JobEnded,
    JudgedAgain,
    LatencyProgressed,
    LoadFailed,
    StudentSaved,
    TeacherLoaded,
    TrainingProgressed,
)
from distill_tui.only_the_last import OnlyTheLast
from distill_tui.run_messages import RunSeen, RunWorkFailed
from distill_tui.runs.watching import Watching
from distill_tui.state import JobState, TeacherView
from distill_tui.student_to_time import StudentToTime

if TYPE_CHECKING:
    from distill_core.latency.crossover import CrossoverEvent
    from distill_core.latency.events import LatencyEvent, LatencyFinished
    from distill_core.latency.field_events import FieldEvent
    from distill_core.runs import RecordedRun, Seen
    from distill_core.training import RunStarted, TrainingSession
    from distill_tui.crossover_limits import CrossoverLimits
    from distill_tui.measuring import Contestants, Crossover, Latency

MEASUREMENTS = ("latency", "crossover", "contestants")
"""The jobs that time something; nothing periodic goes on beside them."""
DRAWING_SECONDS = 0.5
"""How long a measurement waits for its progress to be drawn; an app that is on its way out draws no more."""


class Controller:
    """Runs one engine job at a time, and loads databases beside it.

    A cancelled Textual thread goes on running, so this class keeps its own states: a job is active until
    its thread has posted its one `JobEnded`. All methods belong to the UI thread.

    Attributes:
        state: Of the present or the last job.
        job_name: "training", "latency", "crossover" or "contestants"; which job `state` is about.
        run: The last run whose student can be timed and saved; None before the first.
        watching: The run of another process that is looked at; it is no job, and may go on beside one.
    """

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._job: Job[Any] | None = None
        self._runs: list[RecordedRun] = []
        self.state = JobState.IDLE
        self.job_name = ""
        self.run: RecordedRun | None = None
        self.watching: Watching | None = None
        self._queues: dict[str, OnlyTheLast] = {}

    @property
    def session(self) -> TrainingSession | None:
        """The training of the last run."""
        return None if self.run is None else self.run.session

    @property
    def is_busy(self) -> bool:
        """Whether a job is active, paused ones included."""
        return self.state.is_active

    @property
    def is_timing(self) -> bool:
        """Whether a measurement is active, which nothing must disturb. Any thread may ask."""
        return self.is_busy and self.job_name in MEASUREMENTS

    def open_database(self, path: Path) -> None:
        """Read the projections of a database; ends in `DatabaseOpened` or `LoadFailed`."""

        def work() -> DatabaseOpened:
            from distill_tui.teacher.loading import open_database

            return DatabaseOpened(open_database(path))

        self._load(work)

    def load_teacher(self, path: Path, mh_id: int) -> None:
        """Read one projection with its vectors; ends in `TeacherLoaded` or `LoadFailed`."""

        def work() -> TeacherLoaded:
            from distill_tui.teacher.loading import load_teacher

            return TeacherLoaded(load_teacher(path, mh_id))

        self._load(work)

    def start_training(self, config: RunConfig) -> bool:
        """Start a run; False when a job is active already."""
        if self.is_busy:
            return False

        def new_run() -> RecordedRun:
            from distill_core.runs import RecordedRun, RunStore

            return RecordedRun(RunStore().create(config))

        return self._start_run(new_run, is_new=True)

    def resume_run(self, path: Path) -> bool:
        """Go on with a run from its folder; False when a job is active already."""
        if self.is_busy:
            return False

        def left_run() -> RecordedRun:
            from distill_core.runs import RecordedRun, RunFolder

            return RecordedRun(RunFolder.open(path))

        return self._start_run(left_run, is_new=False)

    def start_latency(self, view: TeacherView, config: RunConfig, timed: StudentToTime) -> bool:
        """Compare the latency of a student with that of the LDA; stopped, it keeps what it has."""
        comparison: list[Latency] = []

        def events() -> Iterator[LatencyEvent]:
            from distill_tui.measuring import Latency

            comparison.append(Latency(view, config, timed))
            return iter(comparison[0])

        def conclude() -> Iterator[LatencyEvent]:
            return comparison[0].conclude() if comparison else iter(())

        return self._start("latency", Job(events, self._post_latency, conclude))

    def start_crossover(
        self, view: TeacherView, config: RunConfig, timed: StudentToTime, limits: CrossoverLimits
    ) -> bool:
        """Search the crossover with the student of `start_latency`; stopped, it keeps what it has."""
        search: list[Crossover] = []

        def events() -> Iterator[CrossoverEvent]:
            from distill_tui.measuring import Crossover

            search.append(Crossover(view, config, timed, limits))
            return iter(search[0])

        def conclude() -> Iterator[CrossoverEvent]:
            return search[0].conclude() if search else iter(())

        return self._start("crossover", Job(events, self._post_crossover, conclude))

    def start_contestants(self, view: TeacherView, config: RunConfig, timed: StudentToTime) -> bool:
        """Compare everyone who is installed; stopped, it keeps what it has."""
        field: list[Contestants] = []

        def events() -> Iterator[FieldEvent]:
            from distill_tui.measuring import Contestants

            field.append(Contestants(view, config, timed))
            return iter(field[0])

        def conclude() -> Iterator[FieldEvent]:
            return field[0].conclude() if field else iter(())

        return self._start("contestants", Job(events, self._post_contestants, conclude))

    def _start_run(self, open_run: Callable[[], RecordedRun], *, is_new: bool) -> bool:
        runs = self._runs = []

        def events() -> Iterator[Any]:
            from distill_tui.training.past_epochs import with_past

            runs.append(open_run())
            try:
                yield from with_past(runs[0])
            except DistillError:
                if is_new:
                    runs[0].discard_if_empty()
                raise

        def conclude() -> Iterator[Any]:
            return runs[0].conclude()

        return self._start("training", Job(events, self._post_training, conclude))

    def judge_again(self, run: RunStarted, measured: LatencyFinished) -> None:
        """Judge the last student anew, with its measured cost; ends in `JudgedAgain`."""
        recorded = self.run
        if recorded is None:
            return

        def judge() -> JudgedAgain:
            try:
                return JudgedAgain(run, tuple(recorded.conclude(measured)))
            except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
                return JudgedAgain(run, (), f"{type(error).__name__}: {error}")

        self._in_thread(lambda: self._app.post_message(judge()), group="judge")

    def has_student_for(self, config: RunConfig) -> bool:
        """Whether the last run's student is of this shape and from this projection.

        What the session has taken from its recipe shapes nothing.
        """
        session = self.session
        if session is None or session.student is None:
            return False
        trained, asked = (run.student.without_recipe() for run in (session.config, config))
        return trained == asked and session.config.data == config.data

    def student_to_time(self, config: RunConfig) -> StudentToTime:
        """Return the last run's student if there is one of this shape, else an untrained one."""
        run = self.run
        if run is None or run.session is None or not self.has_student_for(config):
            return StudentToTime()
        return StudentToTime(run.folder.path, run.session.student)

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

    def stop(self, *, conclude: bool = True) -> None:
        """Ask the active job to end; its thread still has its last word.

        Args:
            conclude: Whether what was learnt is to be judged, too; not when the app is left.
        """
        if self._job and self.state.is_active:
            self.state = JobState.STOPPING
            self._job.stop(conclude=conclude)

    def wait_until_saved(self, seconds: float | None = None) -> bool:
        """Wait until the active job, asked to end, has saved; return whether it has."""
        return self._job is None or self._job.wait(seconds)

    def present_run(self) -> Callable[[], Path | None]:
        """Return what tells the folder of the run that is being trained: it may not be made yet."""
        runs = self._runs if self._job else []
        return lambda: runs[0].folder.path if runs else None

    def finish(self, outcome: JobState) -> None:
        """Note that the thread has ended, when its `JobEnded` arrives."""
        self.state = outcome
        self._job = None
        if self._runs and outcome is not JobState.FAILED:
            self.run = self._runs[0]
        self._runs = []

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

    def ask(self, work: Callable[[], Message], title: str, kind: str = "") -> None:
        """Do something with runs on disk; ends in the message that it returns, or in `RunWorkFailed`.

        Args:
            work: Is called in a thread.
            title: Of the failure.
            kind: Of works of one kind one is done at a time, and only the last one waits meanwhile.
        """

        def answer() -> None:
            try:
                message = work()
            except DistillError as error:
                message = RunWorkFailed(title, str(error))
            except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
                message = RunWorkFailed(title, f"{type(error).__name__}: {error}")
            self._app.post_message(message)

        if not kind:
            self._in_thread(answer, group="runs")
            return
        queue = self._queues.setdefault(kind, OnlyTheLast())
        if queue.put(answer):
            self._in_thread(queue.run, group=kind)

    def watch_run(self, path: str) -> None:
        """Look at a run from now on, in place of another one; tells `RunSeen`."""
        self.leave_run()
        watching = self.watching = Watching(path, self._post_seen, lambda: self.is_timing)

        def look() -> None:
            try:
                watching.run()
            except DistillError as error:
                self._app.post_message(RunSeen(watching, None, str(error)))
            except Exception as error:  # noqa: BLE001 - shown to the user, never dropped
                self._app.post_message(RunSeen(watching, None, f"{type(error).__name__}: {error}"))

        self._in_thread(look, group="watch")

    def leave_run(self) -> None:
        """Look at no run any more; the run goes on."""
        if self.watching is not None:
            self.watching.leave()
            self.watching = None

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
        self._post_and_draw(LatencyProgressed(events))

    def _post_crossover(self, events: tuple[Any, ...]) -> None:
        self._post_and_draw(CrossoverProgressed(events))

    def _post_contestants(self, events: tuple[Any, ...]) -> None:
        self._post_and_draw(ContestantsProgressed(events))

    def _post_and_draw(self, message: Message) -> None:
        """Post from a measuring thread and wait until it is drawn: nothing draws while a block runs."""
        drawn = threading.Event()
        self._app.post_message(message)
        self._app.call_later(self._app.call_after_refresh, drawn.set)
        drawn.wait(DRAWING_SECONDS)

    def _post_seen(self, watching: Watching, seen: Seen) -> None:
        self._app.post_message(RunSeen(watching, seen))
