"""The app: screens, global keys, and the state that the screens watch. It paints before torch is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.reactive import reactive
from textual.screen import Screen
from textual.widgets import HelpPanel

from distill_core.architecture import default_architecture
from distill_core.config import DataConfig, RunConfig
from distill_tui import messages, places
from distill_tui.controller import Controller
from distill_tui.folding import Histories, fold_latency, fold_training
from distill_tui.screens.database_picker import DatabasePicker
from distill_tui.screens.latency import LatencyScreen
from distill_tui.screens.quit_dialog import QuitDialog
from distill_tui.screens.save_dialog import SaveDialog
from distill_tui.screens.student import StudentScreen
from distill_tui.screens.teacher import TeacherScreen
from distill_tui.screens.train import TrainScreen
from distill_tui.screens.validate import ValidateScreen
from distill_tui.state import DatabaseView, JobState, LatencyView, RunSettings, TeacherView, TrainingView


class DistillApp(App[int]):
    """The workbench. The UI thread owns everything here; the controller owns the threads.

    Args:
        first_database: The database to open at the start; without one the picker is shown.
    """

    TITLE = "distill-tui"
    CSS_PATH = ["styles/app.tcss", "styles/dialogs.tcss"]
    MODES = {
        "teacher": TeacherScreen,
        "student": StudentScreen,
        "train": TrainScreen,
        "validate": ValidateScreen,
        "latency": LatencyScreen,
    }
    DEFAULT_MODE = "teacher"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]
    BINDINGS = [
        *(
            Binding(str(number), f"show('{mode}')", mode.capitalize(), id=f"app.{mode}", show=False)
            for number, mode in enumerate(MODES, 1)
        ),
        Binding("o", "open_database", "Open", id="app.open", tooltip="Open another database"),
        Binding("ctrl+t", "start_training", "Train", id="app.train", tooltip="Start a run with the settings"),
        Binding("ctrl+s", "save_student", "Save", id="app.save", tooltip="Save the trained student"),
        Binding("question_mark,f1", "toggle_help", "Help", key_display="?", id="app.help"),
        Binding("q,ctrl+q", "leave", "Quit", key_display="q", id="app.quit"),
    ]

    database: reactive[DatabaseView | None] = reactive(None)
    teacher: reactive[TeacherView | None] = reactive(None)
    settings: reactive[RunSettings] = reactive(RunSettings())
    training: reactive[TrainingView] = reactive(TrainingView())
    latency: reactive[LatencyView] = reactive(LatencyView())
    busy_with: reactive[str] = reactive("")

    def __init__(self, first_database: Path | None = None) -> None:
        super().__init__()
        self._first_database = first_database
        self.controller = Controller(self)
        self.histories = Histories()

    def on_mount(self) -> None:
        """Open what was asked for, once the screen is painted."""
        self._apply_keymap()
        if self._first_database is not None:
            self.call_after_refresh(self.open_path, self._first_database)
        else:
            self.call_after_refresh(self.action_open_database)

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

    def run_config(self) -> RunConfig | None:
        """Return the settings of a run as the screens have them; None without a projection."""
        if self.teacher is None:
            return None
        data = DataConfig(database=str(self.teacher.path), mh_id=self.teacher.projection.id)
        return RunConfig(data=data, student=self.settings.student, training=self.settings.training)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer the app's own actions in the palette beside Textual's."""
        yield SystemCommand("Open a database", "Choose another lda.db (o)", self.action_open_database)
        yield SystemCommand(
            "Start training", "Start a run with the present settings (ctrl+t)", self.action_start_training
        )
        yield SystemCommand(
            "Save the student", "Write the trained weights to a file (ctrl+s)", self.action_save_student
        )
        yield from super().get_system_commands(screen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switch off what a dialog must not pass through, and what cannot be done now."""
        if action in ("show", "open_database", "start_training", "save_student") and self.screen.is_modal:
            return False
        if action == "save_student":
            return self.training.state in (JobState.FINISHED, JobState.STOPPED)
        if action == "start_training":
            return self.teacher is not None and not self.controller.is_busy
        return True

    def action_show(self, mode: str) -> None:
        """Go to one of the screens."""
        self.switch_mode(mode)

    def action_open_database(self) -> None:
        """Ask for a database."""
        self.push_screen(DatabasePicker(), lambda path: self.open_path(path) if path else None)

    def action_start_training(self) -> None:
        """Start a run with the present settings and show it."""
        config = self.run_config()
        if config is None:
            self.notify("Choose a projection first.", severity="warning")
        elif self.controller.start_training(config):
            self.histories.clear()
            self.training = TrainingView(state=JobState.RUNNING)
            self.switch_mode("train")
        else:
            self.notify(f"The {self.controller.job_name} is still going; stop it first.", severity="warning")

    def action_save_student(self) -> None:
        """Ask where to write the trained student."""
        self.push_screen(SaveDialog(), lambda path: self.controller.save_student(path) if path else None)

    def action_toggle_help(self) -> None:
        """Show or hide the keys that work here."""
        if self.screen.query(HelpPanel):
            self.action_hide_help_panel()
        else:
            self.action_show_help_panel()

    def action_leave(self) -> None:
        """Quit; ask first while a job is going."""
        if isinstance(self.screen, QuitDialog):
            return
        if self.controller.is_busy:
            self.push_screen(QuitDialog(self.controller.job_name), self._leave_if)
        else:
            self.exit(0)

    def start_latency(self) -> None:
        """Start the latency comparison, with the trained student if it fits the settings."""
        config = self.run_config()
        if config is None or self.teacher is None:
            self.notify("Choose a projection first.", severity="warning")
        elif self.controller.start_latency(self.teacher, config):
            self.latency = LatencyView(JobState.RUNNING, trained=self.controller.has_student_for(config))
        else:
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
        if self.controller.job_name == "training":
            self.training = replace(self.training, state=state, error=error, trace=trace)
        else:
            self.latency = replace(self.latency, state=state, error=error, trace=trace)
        self.refresh_bindings()

    def _leave_if(self, leave: bool | None) -> None:
        if leave:
            self.controller.stop()
            self.exit(0)

    def _apply_keymap(self) -> None:
        try:
            self.set_keymap(places.read_keymap())
        except ValueError as error:
            self.notify(str(error), title="Keymap not used", severity="warning")

    @on(messages.DatabaseOpened)
    def _show_database(self, message: messages.DatabaseOpened) -> None:
        places.remember(message.view.path)
        self.busy_with = ""
        self.database = message.view
        if message.view.projections:
            self.choose_projection(message.view.projections[0].id)

    @on(messages.TeacherLoaded)
    def _show_teacher(self, message: messages.TeacherLoaded) -> None:
        self.busy_with = ""
        projection = message.view.projection
        heads, layers = default_architecture(projection.num_heads, projection.dimension)
        if self.teacher is None or self.teacher.projection.num_heads != projection.num_heads:
            student = self.settings.student.with_values(heads=heads, layers=layers)
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
        self.histories.extend(message.events)
        self.training = fold_training(self.training, message.events)

    @on(messages.LatencyProgressed)
    def _fold_latency(self, message: messages.LatencyProgressed) -> None:
        self.latency = fold_latency(self.latency, message.events)

    @on(messages.JobEnded)
    def _end_job(self, message: messages.JobEnded) -> None:
        self.controller.finish(message.outcome)
        self._show_job_state(message.error, message.trace)

    @on(messages.StudentSaved)
    def _show_saved(self, message: messages.StudentSaved) -> None:
        if message.error:
            self.notify(message.error, title="Not saved", severity="error", timeout=12, markup=False)
        else:
            self.notify(message.path, title="Student saved", markup=False)
