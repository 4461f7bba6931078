"""What the app knows, and how the engine's messages change it. No screens, no keys."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.app import App
from textual.reactive import var

from distill_core.config import DataConfig, RunConfig
from distill_tui import messages, places
from distill_tui.controller import Controller
from distill_tui.state import DatabaseView, JobState, LatencyView, RunSettings, TeacherView, TrainingView

if TYPE_CHECKING:
    from distill_tui.training.histories import Histories


class Workbench(App[int]):
    """The state of the app as reactives that the screens watch. The UI thread owns all of it."""

    database: var[DatabaseView | None] = var(None)
    teacher: var[TeacherView | None] = var(None)
    settings: var[RunSettings] = var(RunSettings())
    training: var[TrainingView] = var(TrainingView())
    latency: var[LatencyView] = var(LatencyView())
    busy_with: var[str] = var("")
    settings_complete: var[bool] = var(True)

    def __init__(self) -> None:
        super().__init__()
        self.controller = Controller(self)

    @cached_property
    def histories(self) -> Histories:
        """The points of the live charts; made when first needed, because NumPy must not delay the paint."""
        from distill_tui.training.histories import Histories

        return Histories()

    def open_path(self, path: Path) -> None:
        """Start reading a database; what is shown stays until it is read."""
        self.busy_with = f"opening {path.name}"
        self.controller.open_database(path)

    def choose_projection(self, mh_id: int) -> None:
        """Start reading one projection of the open database."""
        if self.database is None:
            return
        self.busy_with = f"reading projection {mh_id}"
        self.controller.load_teacher(self.database.path, mh_id)

    def first_projection(self, view: DatabaseView) -> int:
        """Return the projection to read of a database that was just opened."""
        return view.projections[0].id

    def run_config(self) -> RunConfig | None:
        """Return the settings of a run as the screens have them; None without a projection."""
        if self.teacher is None:
            return None
        data = DataConfig(
            database=str(self.teacher.path),
            mh_id=self.teacher.projection.id,
            temperature=self.teacher.chosen_temperature,
        )
        settings = self.settings
        return RunConfig(
            data=data, split=settings.split, student=settings.student, training=settings.training
        )

    def start_training(self) -> bool:
        """Start a run with the present settings; False, and a word to the user, where that cannot be."""
        config = self.run_config()
        if config is None:
            self.notify("Choose a projection first.", severity="warning")
            return False
        if not self.settings_complete:
            self.notify("Mend the marked settings on screen 2 first.", severity="warning")
            return False
        if not self.controller.start_training(config):
            self.notify(f"The {self.controller.job_name} is still going; stop it first.", severity="warning")
            return False
        self.histories.clear()
        self.training = TrainingView(JobState.RUNNING, self.teacher)
        return True

    def say_what_disturbs(self) -> None:
        """Tell the user which job keeps a measurement from starting."""
        self.notify(
            f"The {self.controller.job_name} is still going and would disturb the timing.",
            severity="warning",
        )

    def set_job_state(self, change: str) -> None:
        """Pause, resume or stop the active job, and show it at once."""
        {"pause": self.controller.pause, "resume": self.controller.resume, "stop": self.controller.stop}[
            change
        ]()
        self._show_job_state()

    def _show_job_state(self, error: str = "", trace: str = "") -> None:
        state = self.controller.state
        job = self.controller.job_name  # the reactive with the job's view has the same name
        setattr(self, job, replace(getattr(self, job), state=state, error=error, trace=trace))
        self.refresh_bindings()

    @on(messages.DatabaseOpened)
    def _show_database(self, message: messages.DatabaseOpened) -> None:
        places.remember(message.view.path)
        self.busy_with = ""
        self.database = message.view
        if message.view.projections:
            self.choose_projection(self.first_projection(message.view))

    @on(messages.TeacherLoaded)
    def _show_teacher(self, message: messages.TeacherLoaded) -> None:
        if self.database is not None and message.view.path != self.database.path:
            return  # read for a database that another one has replaced since
        self.busy_with = ""
        projection = message.view.projection
        is_new = self.teacher is None or self.teacher.projection.num_heads != projection.num_heads
        student = self.settings.student
        if is_new or not student.fits(projection.dimension):
            student = student.with_defaults(projection.num_heads, projection.dimension)
            self.settings = replace(self.settings, student=student)
        self.teacher = message.view
        self.refresh_bindings()

    @on(messages.LoadFailed)
    def _show_load_error(self, message: messages.LoadFailed) -> None:
        self.busy_with = ""
        self.notify(
            f"{message.error} {message.hint}", title="Not opened", severity="error", timeout=12, markup=False
        )

    @on(messages.TrainingProgressed)
    def _fold_training(self, message: messages.TrainingProgressed) -> None:
        from distill_tui.training import histories as folding

        self.histories.extend(message.events)
        self.training = folding.fold_training(self.training, message.events)

    @on(messages.LatencyProgressed)
    def _fold_latency(self, message: messages.LatencyProgressed) -> None:
        from distill_tui.training import histories as folding

        self.latency = folding.fold_latency(self.latency, message.events)

    @on(messages.JobEnded)
    def _end_job(self, message: messages.JobEnded) -> None:
        if not self.controller.is_busy or message.job != self.controller.job_name:
            return  # of a job that is not the active one
        self.controller.finish(message.outcome)
        self._show_job_state(message.error, message.trace)
        measured, run = self.latency.finished, self.training.started
        is_own = run is not None and self.training.watched is None
        if message.job == "latency" and self.latency.trained and measured is not None and run and is_own:
            self.controller.judge_again(run, measured)

    @on(messages.JudgedAgain)
    def _show_new_verdict(self, message: messages.JudgedAgain) -> None:
        from distill_tui.training import histories as folding

        if message.run is not self.training.started:
            return  # of a run before the present one
        if message.error:
            self.notify(message.error, title="Not judged anew", severity="error", markup=False)
        self.training = folding.fold_training(self.training, message.events)

    @on(messages.StudentSaved)
    def _show_saved(self, message: messages.StudentSaved) -> None:
        if message.error:
            self.notify(message.error, title="Not saved", severity="error", timeout=12, markup=False)
        else:
            self.notify(message.path, title="Student saved", markup=False)
