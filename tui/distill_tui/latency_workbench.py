"""What the app knows of the crossover and of all contestants. No screens, no keys."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.reactive import var

from distill_core.config import RunConfig
from distill_tui import messages
from distill_tui.run_workbench import RunWorkbench
from distill_tui.state import ContestantsView, CrossoverView, JobState, TeacherView


class LatencyWorkbench(RunWorkbench):
    """The workbench with what screen 5 measures beside the comparison of two."""

    crossover: var[CrossoverView] = var(CrossoverView())

    contestants: var[ContestantsView] = var(ContestantsView())

    def start_crossover(self) -> bool:
        """Start the search with the student of the comparison; False, and a word, where that cannot be."""
        config = self._config_to_measure(self.controller.start_crossover)
        if config is None:
            return False
        self.crossover = CrossoverView(JobState.RUNNING, trained=self.controller.has_student_for(config))
        return True

    def start_contestants(self) -> bool:
        """Start the comparison of everyone; False, and a word, where that cannot be."""
        config = self._config_to_measure(self.controller.start_contestants)
        if config is None:
            return False
        self.contestants = ContestantsView(JobState.RUNNING, trained=self.controller.has_student_for(config))
        return True

    def _config_to_measure(self, start: Callable[[TeacherView, RunConfig], bool]) -> RunConfig | None:
        """Start a measurement and return its settings; None, and a word to the user, where that cannot be."""
        config = self.run_config()
        if config is None or self.teacher is None:
            self.notify("Choose a projection first.", severity="warning")
            return None
        if not start(self.teacher, config):
            self.say_what_disturbs()
            return None
        return config

    @on(messages.CrossoverProgressed)
    def _fold_crossover(self, message: messages.CrossoverProgressed) -> None:
        from distill_tui import folding

        self.crossover = folding.fold_crossover(self.crossover, message.events)

    @on(messages.ContestantsProgressed)
    def _fold_contestants(self, message: messages.ContestantsProgressed) -> None:
        from distill_tui import folding

        self.contestants = folding.fold_contestants(self.contestants, message.events)
