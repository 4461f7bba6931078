"""What the app knows of latency, crossover and all contestants. No screens, no keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from textual import on
from textual.reactive import var

from distill_core.config import RunConfig
from distill_core.students.spec import StudentConfig
from distill_tui import messages, run_messages
from distill_tui.crossover_limits import CrossoverLimits
from distill_tui.run_workbench import RunWorkbench
from distill_tui.state import ContestantsView, CrossoverView, JobState, LatencyView, TeacherView
from distill_tui.student_to_time import StudentToTime

if TYPE_CHECKING:
    from distill_core.runs import RunSummary

Start = Callable[[TeacherView, RunConfig, StudentToTime], bool]

Shape = tuple[StudentConfig, str, int]
"""What times depend on: the student, and its teacher's database and projection."""

NO_QUERIES = (
    "This projection has no questions with vectors, so there is nothing to time with. "
    "Choose another projection on screen 1."
)


class LatencyWorkbench(RunWorkbench):
    """The workbench with what screen 5 measures: of this run's student, of an opened run's, or untrained."""

    crossover: var[CrossoverView] = var(CrossoverView())

    contestants: var[ContestantsView] = var(ContestantsView())

    crossover_limits: var[CrossoverLimits] = var(CrossoverLimits())

    def __init__(self) -> None:
        super().__init__()
        self._timed: dict[str, Shape] = {}
        """The shape that each measurement is of, by the name of its view."""

    def start_training(self) -> bool:
        """Start a run; what was measured of a student of another shape is shown no more."""
        started = super().start_training()
        if started:
            self._keep_times_of(self._shape(self.run_config()))
        return started

    def resume_run(self, run: RunSummary) -> bool:
        """Go on with a run; what was measured of another student is shown no more."""
        resumed = super().resume_run(run)
        if resumed:
            self._keep_times_of(None, run.name)
        return resumed

    def start_latency(self) -> bool:
        """Start the comparison of two; False, and a word to the user, where that cannot be."""
        timed = self._start_to_measure(self.controller.start_latency, "latency")
        if timed is None:
            return False
        self.latency = LatencyView(JobState.RUNNING, trained=timed.is_trained, run=self._name_of(timed))
        return True

    def start_crossover(self) -> bool:
        """Start the search with the student of the comparison; False, and a word, where that cannot be."""
        start = partial(self.controller.start_crossover, limits=self.crossover_limits)
        timed = self._start_to_measure(start, "crossover")
        if timed is None:
            return False
        self.crossover = CrossoverView(JobState.RUNNING, trained=timed.is_trained, run=self._name_of(timed))
        return True

    def start_contestants(self) -> bool:
        """Start the comparison of everyone; False, and a word, where that cannot be."""
        timed = self._start_to_measure(self.controller.start_contestants, "contestants")
        if timed is None:
            return False
        name = self._name_of(timed)
        self.contestants = ContestantsView(JobState.RUNNING, trained=timed.is_trained, run=name)
        return True

    def open_run(self, run: RunSummary) -> bool:
        """Show a run from its folder, what was measured of it included."""
        opened = super().open_run(run)
        if opened and self.training.watched is not None:
            read = partial(self.desk.measured, run.path)
            self.controller.ask(read, "Measurements not read", "measured")
        return opened

    def can_measure(self) -> bool:
        """Tell the user what keeps a measurement from starting; True if nothing does."""
        if self.teacher is None:
            self.notify("Choose a projection first.", severity="warning")
        elif not len(self.teacher.queries):
            self.notify(NO_QUERIES, title="Nothing to measure", severity="warning", markup=False)
        elif self.controller.is_busy:
            self.say_what_disturbs()
        else:
            return True
        return False

    def _start_to_measure(self, start: Start, view: str) -> StudentToTime | None:
        """Start a measurement and return the student it is about; None, and a word, where that cannot be."""
        config = self.run_config()
        if not self.can_measure() or config is None or self.teacher is None:
            return None
        timed = self._opened_student() or self.controller.student_to_time(config)
        if not start(self.teacher, config, timed):
            return None
        if shape := self._shape(config):
            self._timed[view] = shape
        return timed

    def _shape(self, config: RunConfig | None) -> Shape | None:
        if config is None:
            return None
        return config.student.without_recipe(), config.data.database, config.data.mh_id

    def _keep_times_of(self, shape: Shape | None, run: str = "") -> None:
        """Forget what was measured of students of another shape, and of opened runs but this one."""
        views = {"latency": LatencyView, "crossover": CrossoverView, "contestants": ContestantsView}
        for name, view in views.items():
            measured = getattr(self, name).run
            same = measured == run if measured or run else shape == self._timed.get(name)
            if not same:
                setattr(self, name, view())

    def _opened_student(self) -> StudentToTime | None:
        """Return that of the run which is opened, if it has weights and is of the open projection."""
        from distill_core.runs import RunFolder

        watched = self.training.watched
        run = self.runs.find(watched.path) if watched is not None and self.runs is not None else None
        if run is None or not RunFolder(run.path).best_checkpoint.is_file():
            return None
        if self._teacher_of(run) is None:
            self.notify(f"{run.name} is of another projection; it is not timed.", markup=False)
            return None
        return StudentToTime(Path(run.path))

    def _name_of(self, timed: StudentToTime) -> str:
        """Return the name of the opened run whose student is timed; empty if it is not an opened one's."""
        watched = self.training.watched
        return watched.name if watched is not None and timed.run == Path(watched.path) else ""

    @on(run_messages.MeasurementsRead)
    def _show_stored(self, message: run_messages.MeasurementsRead) -> None:
        watched = self.training.watched
        if watched is None or watched.path != message.path:
            return  # another run is shown by now
        if not self.latency.state.is_active:
            self.latency = LatencyView(finished=message.latency, trained=True, run=watched.name)
        if not self.crossover.state.is_active:
            self.crossover = CrossoverView(finished=message.crossover, trained=True, run=watched.name)
        if not self.contestants.state.is_active:
            self.contestants = ContestantsView(finished=message.contestants, trained=True, run=watched.name)

    @on(messages.CrossoverProgressed)
    def _fold_crossover(self, message: messages.CrossoverProgressed) -> None:
        from distill_tui.training import histories as folding

        self.crossover = folding.fold_crossover(self.crossover, message.events)

    @on(messages.ContestantsProgressed)
    def _fold_contestants(self, message: messages.ContestantsProgressed) -> None:
        from distill_tui.training import histories as folding

        self.contestants = folding.fold_contestants(self.contestants, message.events)
