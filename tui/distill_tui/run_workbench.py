"""What the app knows of the runs on disk, and what can be done with them. No screens, no keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.reactive import var

from distill_tui import messages, run_messages
from distill_tui.runs.desk import Change, RunDesk
from distill_tui.runs.views import ComparedRuns, RunCurve, RunRemarks, RunsView
from distill_tui.state import (
    DatabaseView,
    JobState,
    RunSettings,
    TeacherView,
    TrainingView,
    WatchedRun,
)
from distill_tui.workbench import Workbench

if TYPE_CHECKING:
    from distill_core.config import RunConfig
    from distill_core.runs import RunSummary

JOB_STATES = {"running": JobState.RUNNING, "finished": JobState.FINISHED, "failed": JobState.FAILED}
"""How a watched run shows; one that was stopped or interrupted shows as stopped."""


class RunWorkbench(Workbench):
    """The workbench with the runs on disk. Reading and changing them is a worker's; the answers end here."""

    runs: var[RunsView | None] = var(None)
    remarks: var[RunRemarks | None] = var(None)
    compared: var[ComparedRuns] = var(ComparedRuns())
    curves: var[tuple[RunCurve, ...]] = var(())
    """The validation cosines that the train screen shows in place of its own charts."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = RunDesk()
        self._cloned: RunConfig | None = None
        """Settings that wait for their projection to be read."""

    def on_unmount(self) -> None:
        """Look at no run any more: a thread that does would keep the process from ending."""
        self.controller.leave_run()

    def list_runs(self) -> None:
        """Read the runs; what is shown stays until they are read."""
        self.controller.ask(self.desk.listed, "Runs not listed", "list")

    def read_remarks(self, path: str) -> None:
        """Read what a row has no room for."""
        self.controller.ask(partial(self.desk.remarks, path), "Run not read", "remarks")

    def compare_runs(self, paths: Sequence[str]) -> None:
        """Compare runs with the first of them; fewer than two are no comparison."""
        if len(paths) < 2:
            self.compared = ComparedRuns()
        else:
            self.controller.ask(partial(self.desk.compared, tuple(paths)), "Runs not compared", "compare")

    def read_curves(self, paths: Sequence[str]) -> None:
        """Read the validation cosines of runs, to be shown on the train screen."""
        self.controller.ask(partial(self.desk.curves, tuple(paths)), "Curves not read", "curves")

    def change_runs(self, change: Change, title: str) -> None:
        """Change something on disk."""
        self.controller.ask(partial(self.desk.changed, change), title)

    def export_run(self, path: str, directory: Path) -> None:
        """Write a run for others."""
        self.busy_with = f"exporting to {directory.name}"
        self.controller.ask(partial(self.desk.exported, path, directory), "Not exported")

    def clone_run(self, path: str) -> None:
        """Take over the settings of a run, and its teacher."""
        self.controller.ask(partial(self.desk.settings, path), "Settings not taken over")

    def start_training(self) -> bool:
        """Start a run with the present settings, in place of what is watched."""
        started = super().start_training()
        if started:
            self._show_own_run()
        return started

    def resume_run(self, run: RunSummary) -> bool:
        """Go on with a run here; False, and a word to the user, while another job is active."""
        if not self.controller.resume_run(Path(run.path)):
            self.notify(f"The {self.controller.job_name} is still going; stop it first.", severity="warning")
            return False
        self.histories.clear()
        self.training = TrainingView(JobState.RUNNING, self._teacher_of(run))
        self._show_own_run()
        return True

    def open_run(self, run: RunSummary) -> bool:
        """Show a run from its folder, whoever trains it; False while another one is trained here."""
        if self.controller.is_busy and self.controller.job_name == "training":
            present = self.controller.present_run()
            if present is not None and str(present) == run.path:
                self.curves = ()
                return True
            self.notify("Another run is trained here and has the screen; stop it first.", severity="warning")
            return False
        self.histories.clear()
        self.curves = ()
        watched = WatchedRun(run.name, run.path, run.state)
        self.training = TrainingView(_job_state(run.state), self._teacher_of(run), watched=watched)
        self.controller.watch_run(run.path)
        return True

    def first_projection(self, view: DatabaseView) -> int:
        """Return the projection to read first: that of the settings taken over, if there are any."""
        cloned = self._cloned
        if cloned is not None and any(cloned.data.mh_id == known.id for known in view.projections):
            return cloned.data.mh_id
        return super().first_projection(view)

    def watch_teacher(self, view: TeacherView | None) -> None:
        """Take over the settings that have waited for this projection; and read the runs ahead of time."""
        if view is not None and self.runs is None:
            self.list_runs()
        cloned, self._cloned = self._cloned, None
        if view is None or cloned is None:
            self._cloned = cloned
        elif _is_teacher_of(view, cloned):
            self._take_settings(view, cloned)
        else:
            self.notify("Another projection was opened.", title="Settings not taken over", severity="warning")

    def _show_own_run(self) -> None:
        self.controller.leave_run()
        self.curves = ()

    def _teacher_of(self, run: RunSummary) -> TeacherView | None:
        """Return the projection that is open, if it is the run's: it has the texts of the queries."""
        view = self.teacher
        if (
            view is None
            or view.projection.id != run.projection
            or not _is_same(view.path, Path(run.database))
        ):
            return None
        return view if run.temperature in (None, view.teacher.temperature) else None

    def _take_settings(self, view: TeacherView, config: RunConfig) -> None:
        self.settings = RunSettings(config.split, config.student, config.training)
        self.teacher = view.at(config.data.temperature or view.projection.temperature)
        self.notify("They are on screen 2; ctrl+t trains.", title="Settings taken over")

    @on(run_messages.RunsListed)
    def _show_runs(self, message: run_messages.RunsListed) -> None:
        self.runs = message.view

    @on(run_messages.RemarksRead)
    def _show_remarks(self, message: run_messages.RemarksRead) -> None:
        self.remarks = message.remarks

    @on(run_messages.RunsCompared)
    def _show_comparison(self, message: run_messages.RunsCompared) -> None:
        self.compared = message.compared

    @on(run_messages.RunChanged)
    def _show_change(self, message: run_messages.RunChanged) -> None:
        if message.words:
            self.notify(message.words, markup=False)
        if self.remarks is not None:
            self.read_remarks(self.remarks.path)
        self.list_runs()

    @on(run_messages.CurvesRead)
    def _show_curves(self, message: run_messages.CurvesRead) -> None:
        if not any(curve.steps for curve in message.curves):
            self.notify("None of these runs has validated an epoch yet.", severity="warning")
            return
        self.curves = message.curves
        self.switch_mode("train")

    @on(run_messages.SettingsRead)
    def _clone(self, message: run_messages.SettingsRead) -> None:
        config = message.config
        path = Path(config.data.database)
        self.switch_mode("student")
        if self.teacher is not None and _is_teacher_of(self.teacher, config):
            self._take_settings(self.teacher, config)
            return
        self._cloned = config
        if self.database is not None and _is_same(self.database.path, path):
            self.choose_projection(config.data.mh_id)
        else:
            self.open_path(path)

    @on(messages.LoadFailed)
    def _forget_clone(self) -> None:
        self._cloned = None

    @on(run_messages.RunExported)
    def _show_export(self, message: run_messages.RunExported) -> None:
        self.busy_with = ""
        words = "\n".join((message.directory, *(f"Without {part}" for part in message.left_out)))
        self.notify(words, title="Exported", timeout=12, markup=False)

    @on(run_messages.RunWorkFailed)
    def _show_failure(self, message: run_messages.RunWorkFailed) -> None:
        self.busy_with = ""
        self.notify(message.error, title=message.title, severity="error", timeout=12, markup=False)

    @on(run_messages.RunSeen)
    def _show_seen(self, message: run_messages.RunSeen) -> None:
        from distill_tui.training import histories as folding

        view, watched = self.training, self.training.watched
        if message.watching is not self.controller.watching or watched is None:
            return  # a late word of a watching that was left
        if message.seen is None:
            unread = replace(watched, state="unreadable")
            self.training = replace(view, state=JobState.FAILED, error=message.error, watched=unread)
            return
        seen = message.seen
        if seen.restarted:
            self.histories.clear()
            view = TrainingView(teacher=view.teacher, watched=watched)
        self.histories.extend(seen.events)
        self.training = replace(
            folding.fold_training(view, seen.events),
            state=_job_state(seen.state),
            error=seen.error,
            watched=replace(watched, state=seen.state),
        )
        self.refresh_bindings()


def _job_state(state: str) -> JobState:
    return JOB_STATES.get(state, JobState.STOPPED)


def _is_teacher_of(view: TeacherView, config: RunConfig) -> bool:
    """Tell whether a projection is the one that settings are for, at whatever temperature."""
    return view.projection.id == config.data.mh_id and _is_same(view.path, Path(config.data.database))


def _is_same(database: Path, other: Path) -> bool:
    return database.absolute() == other.absolute()
