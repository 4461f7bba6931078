"""The app: its screens and its global keys. It paints before torch is loaded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen

from distill_core.errors import DistillError
from distill_core.foreign_text import visible
from distill_tui import places
from distill_tui.jobs import Answered, JobEnded, Jobs, JobState, Progressed
from distill_tui.latency.desk import MEASUREMENTS, LatencyDesk
from distill_tui.runs.desk import RunsDesk
from distill_tui.runs.meanwhile import keep_seen
from distill_tui.student.desk import StudentDesk
from distill_tui.sweeps.desk import SweepsDesk
from distill_tui.teacher.desk import TeacherDesk
from distill_tui.teacher.screen import TeacherScreen
from distill_tui.training.desk import TrainingDesk
from distill_tui.ui.database_picker import DatabasePicker
from distill_tui.ui.desk import Desk
from distill_tui.ui.dialogs import Leaving, QuitDialog, SaveDialog
from distill_tui.ui.terminal import OnlyWhatIsSeen, copying, notifying
from distill_tui.ui.typing import InOrder

_TOAST_CHARACTERS = 600
_HUNG_UP = 129
"""The exit code after SIGHUP: the line has dropped."""

_OWN_SCREENS = {"training": ("train", "validate")}
"""Where the end of a job is seen without a toast, by its name; of a measurement on screen 5 otherwise."""


def screen_factory(module: str, name: str) -> Callable[[], Screen[None]]:
    """Return what makes a screen, importing it only then: it must not delay the first paint."""

    def make() -> Screen[None]:
        screen: Screen[None] = getattr(import_module(f"distill_tui.{module}.screen"), name)()
        return screen

    return make


class DistillApp(App[int]):
    """Screens, global keys, and the desks that hold what the screens show. The UI thread owns all of it.

    Args:
        first_database: The database to open at the start; without one the picker is shown.

    Attributes:
        jobs: What is at work in threads.
        typed: What is typed, in its order.
        busy_with: What is being read or written just now, in words.
        modes: The names of the screens, in the order of their keys.
    """

    TITLE = "distill-tui"
    CSS_PATH = ["styles/app.tcss", "styles/dialogs.tcss", "styles/latency.tcss"]
    MODES = {
        "teacher": TeacherScreen,
        "student": screen_factory("student", "StudentScreen"),
        "train": screen_factory("training", "TrainScreen"),
        "validate": screen_factory("validation", "ValidateScreen"),
        "latency": screen_factory("latency", "LatencyScreen"),
        "runs": screen_factory("runs", "RunsScreen"),
        "sweep": screen_factory("sweeps", "SweepScreen"),
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
        Binding("ctrl+t", "start_training", "Train", id="app.start", tooltip="Start a run with the settings"),
        Binding("ctrl+t", "train_later", "Queue", id="app.train_later", show=False),
        Binding("ctrl+g", "sweep", "Sweep", id="app.try", show=False, tooltip="Try many settings at once"),
        Binding("ctrl+s", "save_student", "Save", id="app.save", tooltip="Save the trained student"),
        Binding("escape", "cancel_reading", "Cancel", id="app.cancel_reading", tooltip="Stop reading"),
        Binding("question_mark,f1", "show_help_panel", "Help", key_display="?", id="app.help"),
        Binding("q,ctrl+q", "leave", "Quit", key_display="q", id="app.quit"),
        Binding("ctrl+z", "suspend", "Suspend", show=False, id="app.suspend", tooltip="fg goes on"),
    ]

    def __init__(self, first_database: Path | None = None) -> None:
        super().__init__()
        self.jobs = Jobs(self)
        self.busy_with = Desk("")
        self.teacher = TeacherDesk(self)
        self.student = StudentDesk()
        self.training = TrainingDesk(self)
        self.latency = LatencyDesk(self)
        self.runs = RunsDesk(self)
        self.sweeps = SweepsDesk(self)
        self.modes = [*self.MODES]
        for kind in MEASUREMENTS:
            if kind.screen is not None:
                self._add_screen(kind.name, kind.screen)
        self._first_database = first_database
        self._only_what_is_seen = OnlyWhatIsSeen()
        self.typed = InOrder(self, super().on_event)
        self.detached_run: Callable[[], Path | None] = lambda: None
        """Tells, once the app has ended, which run is to go on in a process of its own."""
        self._event_loop: asyncio.AbstractEventLoop | None = None

    def _add_screen(self, mode: str, make: Callable[[], Screen[None]]) -> None:
        """Add a screen behind the last one, with the next number as its key."""
        self.add_mode(mode, make)
        self.modes.append(mode)
        self.bind(str(len(self.modes)), f"show('{mode}')", description=mode.capitalize(), show=False)

    def on_load(self) -> None:
        """Start tasks in one order on every Python.

        From Python 3.12 on Textual has tasks begin at once, so that the first screen's fields are mounted
        before that screen is on the stack, and the app ends with an error (Textual's issue 6444).
        """
        asyncio.get_running_loop().set_task_factory(None)

    def on_mount(self) -> None:
        """Open what was asked for, once the screen is painted."""
        self._event_loop = asyncio.get_running_loop()
        self._apply_keymap()
        self.student.recall()
        if self._first_database is not None:
            self.call_after_refresh(self.teacher.open, self._first_database)
        else:
            self.call_after_refresh(self.action_open_database)

    def on_unmount(self) -> None:
        """Keep the settings; look at no run any more, or a thread would keep the process from ending."""
        self.student.keep(self.teacher.view)
        self.training.leave()
        keep_seen()

    async def on_event(self, event: Event) -> None:
        """Take keys one by one, in the order in which they come; anything else as Textual does."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self.typed.handle(event)
        else:
            await super().on_event(event)

    @on(Progressed)
    def _fold(self, message: Progressed) -> None:
        message.desk.fold(message.events)

    @on(JobEnded)
    def _end_job(self, message: JobEnded) -> None:
        self.jobs.end(message)
        if message.outcome in (JobState.FINISHED, JobState.FAILED):
            self._draw_attention(message)

    def _draw_attention(self, ended: JobEnded) -> None:
        """Tell of the end of some work whoever looks at another screen, or at another window."""
        name = ended.desk.job_name
        words = f"The {name} has {'failed' if ended.error else 'finished'}."
        if self.current_mode not in _OWN_SCREENS.get(name, ("latency",)):
            self.notify(ended.error or words, title=words if ended.error else "")
        if self._driver is not None and places.may_ring():
            self.bell()
            for sequence in notifying(f"distill-tui: {words}"):
                self._driver.write(sequence)

    @on(Answered)
    def _take_answer(self, message: Answered) -> None:
        message.then(message.value)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Filter every line of every widget."""
        return [*super().get_line_filters(), self._only_what_is_seen]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a toast, whatever names from outside it repeats."""
        super().notify(
            visible(message, _TOAST_CHARACTERS),
            title=visible(title),
            severity=severity,
            timeout=timeout,
            markup=False,
        )

    def copy_to_clipboard(self, text: str) -> None:
        """Put a text into the terminal's clipboard, also through tmux."""
        self._clipboard = text
        if self._driver is not None:
            for sequence in copying(text):
                self._driver.write(sequence)

    def complain(self, title: str) -> Callable[[DistillError], None]:
        """Return what tells the user of an error under a title."""

        def say(error: DistillError) -> None:
            self.notify(str(error), title=title, severity="error", timeout=12, markup=False)

        return say

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer the app's own actions in the palette beside Textual's."""
        for number, mode in enumerate(self.modes, 1):
            yield SystemCommand(f"Screen {mode}", f"Go to it ({number})", partial(self.action_show, mode))
        for action, key, title, words in (
            ("measure", "enter", "Measure the latency", "Time the student against the LDA"),
            ("crossover", "x", "Search the crossover", "From how many heads on is the student faster?"),
        ):
            yield SystemCommand(title, f"{words} ({key} on screen 5)", partial(self._on_latency, action))
        yield SystemCommand("Sweep", "Try many settings at once (ctrl+g)", self.action_sweep)
        yield SystemCommand("Open a database", "Choose another lda.db (o)", self.action_open_database)
        yield SystemCommand(
            "Start training", "Start a run with the present settings (ctrl+t)", self.action_start_training
        )
        yield SystemCommand(
            "Save the student", "Write the trained weights to a file (ctrl+s)", self.action_save_student
        )
        yield SystemCommand(
            "Show an H^L experiment",
            "What 'distill-tui experiment hl DB --out FILE' wrote",
            self.action_show_experiment,
        )
        yield from super().get_system_commands(screen)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switch off what a dialog must not pass through, and what cannot be done now."""
        behind_dialogs = ("show", "open_database", "start_training", "save_student", "sweep")
        if action in behind_dialogs and self.screen.is_modal:
            return False
        if action == "cancel_reading":
            return self.teacher.is_reading
        if action == "save_student":
            view = self.training.view
            return view.state in (JobState.FINISHED, JobState.STOPPED) and view.watched is None
        if action == "train_later":
            return not self.screen.is_modal and not self.check_action("start_training", ())
        if action in ("sweep", "start_training"):
            is_free = action == "sweep" or not self.jobs.is_busy
            return self.teacher.view is not None and is_free
        return True

    def _on_latency(self, action: str) -> None:
        """Do on screen 5 what one of its keys does."""
        self.switch_mode("latency")
        self.call_after_refresh(self.run_action, f"screen.{action}")

    def action_show(self, mode: str) -> None:
        """Go to one of the screens."""
        self.switch_mode(mode)

    def action_open_database(self) -> None:
        """Ask for a database."""
        self.push_screen(DatabasePicker(), lambda path: self.teacher.open(path) if path else None)

    def action_cancel_reading(self) -> None:
        """Stop what is being read of a database; what was shown stays."""
        self.teacher.cancel_reading()

    def action_start_training(self) -> None:
        """Start a run with the present settings and show it."""
        from distill_tui.training.starting import train_now

        train_now(self)

    def action_train_later(self) -> None:
        """Offer to queue a run; tell why, where none can be started now."""
        from distill_tui.training.starting import train_later

        train_later(self)

    def action_sweep(self) -> None:
        """Ask for what to try, and queue it."""
        from distill_tui.training.starting import train_many

        train_many(self)

    def action_save_student(self) -> None:
        """Ask where to write the trained student."""
        if not self.check_action("save_student", ()):
            self.notify("There is no trained student to save.", severity="warning")
            return
        self.push_screen(SaveDialog(), lambda path: self.training.save_student(path) if path else None)

    def action_show_experiment(self) -> None:
        """Ask for a stored result of the experiment on H^L = N, and draw it."""
        from distill_core.experiments import read_hl_result
        from distill_tui.ui.dialogs import Question, TextDialog

        def show(path: str | None) -> None:
            if path is not None:
                from distill_tui.experiments import HlResultScreen

                self.push_screen(HlResultScreen(read_hl_result(path)))

        caption = "File written by 'distill-tui experiment hl DB --out FILE':"
        self.push_screen(TextDialog(Question("H^L experiment", caption, check=read_hl_result)), show)

    def action_show_help_panel(self) -> None:
        """Show what this screen is about and its keys; the palette calls it by this name, too."""
        from distill_tui.ui.help import HelpScreen

        if not self.screen.is_modal:
            self.push_screen(HelpScreen(self.screen))

    def action_suspend(self) -> None:
        """Go to the shell, with all threads at rest; not while something is timed."""
        if self.jobs.is_timing:
            self.notify("Not while something is timed: the rest would be in the times.", severity="warning")
        else:
            self.action_suspend_process()

    async def action_quit(self) -> None:
        """Quit as `q` does: Textual's palette would leave without the question."""
        self.action_leave()

    def action_leave(self) -> None:
        """Quit; ask first while a job is going."""
        if any(isinstance(screen, QuitDialog) for screen in self.screen_stack):
            return
        if self.jobs.is_busy:
            self.push_screen(QuitDialog(self.jobs.job_name), self._leave_if)
        else:
            self.exit(0)

    def leave_soon(self, exit_code: int) -> None:
        """Leave as soon as the event loop gets to it; from a signal's handler or another thread.

        A run that goes on when the line drops is one that was not paused.
        """
        if exit_code == _HUNG_UP and self.jobs.state is JobState.RUNNING and places.may_outlive_the_line():
            self.detached_run = self.training.present_run()
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self.exit, None, exit_code)

    def hand_over(self) -> None:
        """Have the run that is to go on trained by a process of its own; from any thread, on the way out."""
        from distill_core.runs import RunFolder
        from distill_tui.cli.run_loop import start_detached

        path = self.detached_run()
        if path is not None and not RunFolder(path).is_finished:
            with contextlib.suppress(DistillError):  # nobody is there to be told; the run is saved
                start_detached(RunFolder(path))

    def _leave_if(self, leaving: Leaving | None) -> None:
        if leaving is None:
            return
        if leaving == "detach":
            self.detached_run = self.training.present_run()
        self.jobs.stop(conclude=False)
        self.exit(0)

    def _apply_keymap(self) -> None:
        try:
            self.set_keymap(places.read_keymap())
        except ValueError as error:
            self.notify(str(error), title="Keymap not used", severity="warning", markup=False)
