"""What the app knows of a run: the one that is trained here, or one that is looked at from its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_tui.jobs import JobState
from distill_tui.teacher.desk import DatabaseView, TeacherView
from distill_tui.training.watching import Watching
from distill_tui.ui.desk import Desk

if TYPE_CHECKING:
    from distill_core.evaluation.report import Assessment
    from distill_core.latency.events import LatencyFinished
    from distill_core.runs import RecordedRun, RunSummary, Seen
    from distill_core.training import TrainingSession
    from distill_core.training.events import (
        BaselineFitted,
        EpochFinished,
        RunFinished,
        RunStarted,
        StepsFinished,
        TestEvaluated,
        TrainEvent,
    )
    from distill_tui.app import DistillApp
    from distill_tui.training.curves import RunCurve
    from distill_tui.training.histories import Histories

JOB_STATES = {"running": JobState.RUNNING, "finished": JobState.FINISHED, "failed": JobState.FAILED}
"""How a watched run shows; one that was stopped or interrupted shows as stopped."""


@dataclass(frozen=True, slots=True)
class WatchedRun:
    """A run that is not trained here, and is shown from its folder.

    Attributes:
        state: As the table of runs says it: `interrupted` is more than a `JobState` can tell.
    """

    name: str
    path: str
    state: str


@dataclass(frozen=True, slots=True)
class TrainingView:
    """The present or the last run, as far as its events have told.

    Attributes:
        watched: None for a run that is, or was, trained here.
        best: The epoch with the best validation cosine so far.
        run_id: The short one of the run; empty until its folder is made.
        teacher: What the run was started on; the user may look at another projection meanwhile.
    """

    state: JobState = JobState.IDLE
    teacher: TeacherView | None = None
    started: RunStarted | None = None
    progress: EpochFinished | StepsFinished | None = None
    epoch: EpochFinished | None = None
    best: EpochFinished | None = None
    tested: TestEvaluated | None = None
    baselines: tuple[BaselineFitted, ...] = ()
    assessment: Assessment | None = None
    finished: RunFinished | None = None
    watched: WatchedRun | None = None
    run_id: str = ""
    error: str = ""
    trace: str = ""

    @property
    def subject(self) -> str:
        """What the figures are of: run, student, settings, teacher; empty before the run's first event."""
        if self.started is None:
            return ""
        config, started = self.started.config, self.started
        student = config.student.words(started.dimension, started.num_heads)
        training = config.training
        run = f"run {self.run_id} · " if self.run_id else ""
        return (
            f"{run}{student} · {training.recipe} λ {training.cosine_weight:g} seed {training.seed} · "
            f"{self.teacher_words}"
        )

    @property
    def teacher_words(self) -> str:
        """The teacher of the run, as the bar on top names the open one."""
        if self.started is None:
            return ""
        path = Path(self.started.config.data.database)
        database = f"{path.parent.name}/{path.name}".removeprefix("/")
        return f"N {self.started.num_heads} τ {self.started.temperature:g} · {database}"

    @property
    def planned_epochs(self) -> int | None:
        """The epochs after which the run ends at the latest; None before its first event."""
        return self.started.config.training.epochs if self.started else None

    @property
    def ended_early(self) -> bool:
        """Whether the run is over, and was over before the last epoch."""
        done = self.finished.epochs if self.finished else None
        return done is not None and done < (self.planned_epochs or 0)


class TrainingDesk(Desk[TrainingView]):
    """The present or the last run.

    Attributes:
        run: The last run whose student can be timed and saved; None before the first.
        run_content: Identity of what its teacher is read from; empty if that is unknown.
        watching: What looks at the opened run; None if none is looked at.
        curves: The validation cosines that the train screen shows in place of its own charts.
    """

    job_name = "training"
    is_timing = False

    def __init__(self, app: DistillApp) -> None:
        super().__init__(TrainingView())
        self._app = app
        self._runs: list[RecordedRun] = []
        self.watching: Watching | None = None
        self.run: RecordedRun | None = None
        self.run_content = ""
        self.curves: Desk[tuple[RunCurve, ...]] = Desk(())

    @cached_property
    def histories(self) -> Histories:
        """The points of the live charts; made when first needed, because NumPy must not delay the paint."""
        from distill_tui.training.histories import Histories

        return Histories()

    @property
    def session(self) -> TrainingSession | None:
        """The training of the last run."""
        return None if self.run is None else self.run.session

    def start(self) -> bool:
        """Start a run with the present settings; False, and a word to the user, where that cannot be."""
        teacher, student = self._app.teacher.view, self._app.student
        if teacher is None:
            self._app.notify("Choose a projection first.", severity="warning")
            return False
        if not student.is_complete:
            self._app.notify("Mend the marked settings on screen 2 first.", severity="warning")
            return False
        config = student.run_config(teacher)

        def new_run() -> RecordedRun:
            from distill_core.runs import RecordedRun, RunStore

            return RecordedRun(RunStore().create(config))

        if not self._start(new_run, teacher, is_new=True):
            return False
        self._app.latency.keep_times_of(config)
        return True

    def resume(self, run: RunSummary) -> bool:
        """Go on with a run here; False, and a word to the user, while another job is active."""

        def left_run() -> RecordedRun:
            from distill_core.runs import RecordedRun, RunFolder

            return RecordedRun(RunFolder.open(Path(run.path)))

        if not self._start(left_run, self._teacher_of(run), is_new=False):
            return False
        self._app.latency.keep_times_of(None, run.name)
        return True

    def open(self, run: RunSummary) -> bool:
        """Show a run from its folder, whoever trains it; False while another one is trained here."""
        if self._app.jobs.is_active(self):
            present = self.present_run()()
            if present is not None and str(present) == run.path:
                self.curves.publish(())
                return True
            words = "Another run is trained here and has the screen; stop it first."
            self._app.notify(words, severity="warning")
            return False
        self.histories.clear()
        self.curves.publish(())
        watched = WatchedRun(run.name, run.path, run.state)
        self.publish(
            TrainingView(_job_state(run.state), self._teacher_of(run), watched=watched, run_id=run.id)
        )
        self._watch(run.path)
        self._app.latency.read_measured(run.path)
        return True

    def leave(self) -> None:
        """Look at no run any more; the run goes on."""
        if self.watching is not None:
            self.watching.leave()
            self.watching = None

    def present_run(self) -> Callable[[], Path | None]:
        """Return what tells the folder of the run that is being trained: it may not be made yet."""
        runs = self._runs if self._app.jobs.is_active(self) else []
        return lambda: runs[0].folder.path if runs else None

    def has_student_of(self, config: RunConfig) -> bool:
        """Whether the last run's student is from this projection, as it is now; its shape may be any."""
        session = self.session
        if session is None or session.student is None:
            return False
        teacher = self._app.teacher.view
        if self.run_content and teacher is not None and teacher.content != self.run_content:
            return False
        return session.config.data == config.data

    def judge_again(self, measured: LatencyFinished) -> None:
        """Judge the last student anew, with its measured cost."""
        recorded, started = self.run, self.view.started
        if recorded is None or started is None or self.view.watched is not None:
            return
        self._app.jobs.ask(
            lambda: tuple(recorded.conclude(measured)),
            partial(self.show_verdict, started),
            self._app.complain("Not judged anew"),
        )

    def save_student(self, path: Path) -> None:
        """Write the last student's weights."""
        session = self.session
        if session is None or session.student is None or self._app.jobs.is_busy:
            return
        student = session.student

        def save() -> Path:
            from distill_core.students import save_student

            return save_student(student, path, session.config)

        self._app.jobs.ask(
            save,
            self._say_saved,
            self._app.complain("Not saved"),
        )

    def _say_saved(self, path: Path) -> None:
        self._app.notify(str(path), title="Student saved", markup=False)
        self._app.teacher.look()

    def fold(self, events: tuple[TrainEvent, ...]) -> None:
        """Take in what the run has told."""
        from distill_core.training.events import RunNoted
        from distill_tui.training.histories import fold_training

        self.histories.extend(events)
        view = self.view
        if not view.run_id and self._runs:
            view = replace(view, run_id=self._runs[0].folder.id)
        self.publish(fold_training(view, events))
        for event in events:
            if isinstance(event, RunNoted):
                self._app.notify(event.words, severity="warning", timeout=12, markup=False)

    def show_state(self, state: JobState, error: str = "", trace: str = "") -> None:
        """Show how the run stands."""
        self.publish(replace(self.view, state=state, error=error, trace=trace))

    def conclude(self, outcome: JobState) -> None:
        """Keep the run, for its student can now be timed and saved."""
        if self._runs and outcome is not JobState.FAILED:
            self.run = self._runs[0]
            self.run_content = self.view.teacher.content if self.view.teacher is not None else ""
        self._runs = []
        self._app.teacher.look()

    def _start(
        self, open_run: Callable[[], RecordedRun], teacher: TeacherView | None, *, is_new: bool
    ) -> bool:
        runs: list[RecordedRun] = []

        def events() -> Iterator[TrainEvent]:
            from distill_core.training.events import RunStarted
            from distill_tui.teacher.loading import teacher_read
            from distill_tui.training.histories import with_past

            run = open_run()
            runs.append(run)
            try:
                with contextlib.closing(with_past(run)) as told:
                    for event in told:
                        if isinstance(event, RunStarted) and teacher is not None:
                            self._app.jobs.tell(partial(self._take_teacher, runs), teacher_read(teacher, run))
                        yield event
            except DistillError:
                if is_new:
                    runs[0].discard_if_empty()
                raise

        def conclude() -> Iterator[Any]:
            return runs[0].conclude()

        if not self._app.jobs.start(self, events, conclude):
            words = f"The {self._app.jobs.job_name} is still going; stop it first."
            self._app.notify(words, severity="warning")
            return False
        self._runs = runs
        self.leave()
        self.histories.clear()
        self.publish(TrainingView(JobState.RUNNING, teacher))
        self.curves.publish(())
        return True

    def _take_teacher(
        self, runs: list[RecordedRun], read: tuple[TeacherView | None, TeacherView | DatabaseView | None]
    ) -> None:
        """Show a run under the projection that it has read, and what is open as it is now."""
        teacher, fresh = read
        if runs is self._runs:
            self.publish(replace(self.view, teacher=teacher))
        if fresh is None and teacher is None:
            self._app.teacher.look()
        self._app.teacher.show_reread(fresh)

    def _teacher_of(self, run: RunSummary) -> TeacherView | None:
        """Return the projection that is open, if it is the run's: it has the texts of the queries."""
        view = self._app.teacher.view
        return view if view is not None and view.is_of_run(run) else None

    def _watch(self, path: str) -> None:
        """Look at a run from now on, in place of another one."""
        self.leave()
        jobs = self._app.jobs
        watching = self.watching = Watching(path, lambda: jobs.is_timing)
        show = partial(self.show_seen, watching)
        jobs.ask(
            lambda: watching.run(lambda seen: jobs.tell(show, seen)),
            lambda _nothing: None,
            partial(self._say_unreadable, watching),
            "watch",
        )

    def show_verdict(self, run: RunStarted, events: tuple[TrainEvent, ...]) -> None:
        """Show how the student of a run was judged anew."""
        from distill_tui.training.histories import fold_training

        if run is self.view.started:  # else of a run before the present one
            self.publish(fold_training(self.view, events))

    def show_seen(self, watching: Watching, seen: Seen) -> None:
        """Take in what a look at the opened run has told."""
        from distill_tui.training.histories import fold_training

        view, watched = self.view, self.view.watched
        if watching is not self.watching or watched is None:
            return  # a late word of a watching that was left
        if seen.restarted:
            self.histories.clear()
            view = TrainingView(teacher=view.teacher, watched=watched, run_id=view.run_id)
        self.histories.extend(seen.events)
        self.publish(
            replace(
                fold_training(view, seen.events),
                state=_job_state(seen.state),
                error=seen.error,
                watched=replace(watched, state=seen.state),
            )
        )
        self._app.refresh_bindings()

    def _say_unreadable(self, watching: Watching, error: DistillError) -> None:
        watched = self.view.watched
        if watching is self.watching and watched is not None:
            unread = replace(watched, state="unreadable")
            self.publish(replace(self.view, state=JobState.FAILED, error=str(error), watched=unread))


def _job_state(state: str) -> JobState:
    return JOB_STATES.get(state, JobState.STOPPED)
