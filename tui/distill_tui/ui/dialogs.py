"""The dialogs: yes or no, how to leave, where to save, one line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList

from distill_core.errors import DistillError, OutputError
from distill_core.foreign_text import visible
from distill_tui.places import is_folder, is_there, typed_path


class ConfirmDialog(ModalScreen[bool]):
    """Ends with True to do it, False to leave everything as it is."""

    BINDINGS = [
        Binding("escape,c", "dismiss(False)", "Cancel", id="confirm.cancel"),
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes"),
        Binding("left,right,h,l", "app.focus_next", show=False, id="confirm.move"),
    ]

    def __init__(self, title: str, question: str, verb: str) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._verb = verb

    def compose(self) -> ComposeResult:
        """Lay out the question; Cancel has the focus."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = Content(visible(self._title))
            yield Label(visible(self._question), markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel (c)", id="cancel", action="screen.dismiss(False)", compact=True)
                yield Button(f"{self._verb} (y)", id="yes", action="screen.dismiss(True)", compact=True)


Leaving = Literal["detach", "stop"]


class QuitDialog(ModalScreen[Leaving | None]):
    """Ends with how to leave: a run may go on in a process of its own; None goes on here."""

    BINDINGS = [
        Binding("escape,c", "dismiss(None)", "Cancel", id="quit.cancel"),
        Binding("d", "detach", "Detach", id="quit.detach"),
        Binding("s", "dismiss('stop')", "Stop and leave", id="quit.stop"),
        Binding("left,h", "app.focus_previous", show=False, id="quit.back"),
        Binding("right,l", "app.focus_next", show=False, id="quit.move"),
    ]

    def __init__(self, job_name: str) -> None:
        super().__init__()
        self._job_name = job_name

    @property
    def _can_detach(self) -> bool:
        return self._job_name == "training"

    def compose(self) -> ComposeResult:
        """Lay out the question; Cancel has the focus."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Leave?"
            yield Label(self._words)
            with Horizontal(classes="buttons"):
                yield Button("Cancel (c)", id="cancel", action="screen.dismiss(None)", compact=True)
                if self._can_detach:
                    yield Button("Detach (d)", id="detach", action="screen.detach", compact=True)
                stop = "Stop and save (s)" if self._can_detach else "Stop and leave (s)"
                yield Button(stop, id="stop", action="screen.dismiss('stop')", compact=True)

    def action_detach(self) -> None:
        """Leave, and let the run go on."""
        if self._can_detach:
            self.dismiss("detach")

    @property
    def _words(self) -> str:
        if self._can_detach:
            return "The training is still going. It can go on by itself, or be resumed later."
        return f"The {self._job_name} is still going. Leaving stops it."


class SaveDialog(ModalScreen[Path | None]):
    """Ends with a path that does not exist yet or was confirmed by a second enter, or None."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", id="save.cancel")]

    def __init__(self) -> None:
        super().__init__()
        self._confirmed = ""

    def compose(self) -> ComposeResult:
        """Lay out one field with a sensible name in it."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Save the student"
            yield Label(".safetensors, or an encoder's as .pt in the reference's layout", classes="caption")
            yield Input("student.safetensors", compact=True, id="file")
            yield Label("enter saves, esc cancels", id="save-note", classes="caption", markup=False)

    @on(Input.Submitted)
    def _choose(self, event: Input.Submitted) -> None:
        from distill_core.outputs import Output

        name = event.value.strip()
        note = self.query_one("#save-note", Label)
        path = typed_path(name)
        if not name or is_folder(path):
            note.update("Name a file.")
            return
        try:
            Output(path, replace=True)
        except OutputError as error:
            note.update(str(error))
            return
        if is_there(path) and self._confirmed != name:
            self._confirmed = name
            note.update(f"{name} exists; enter again to replace it.")
        else:
            self.dismiss(path.absolute())


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialog asks.

    Attributes:
        title: Of the dialog.
        caption: What to type.
        value: What stands there at first.
        check: Raises a `DistillError` for a text that cannot be taken; it is shown below the field.
        tell: Returns what to say below the field of a text that can be taken, as it is typed.
        is_added_to: Whether what is typed comes behind `value`, and not in its place.
    """

    title: str
    caption: str
    value: str = ""
    check: Callable[[str], object] | None = None
    tell: Callable[[str], str] | None = None
    is_added_to: bool = False


class TextDialog(ModalScreen[str | None]):
    """Ends with the text, which passed the check, or None."""

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", id="text.cancel")]

    def __init__(self, question: Question) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """Lay out the field between what it is for and what is wrong with it."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = Content(visible(self._question.title))
            yield Label(visible(self._question.caption), classes="caption", markup=False)
            selects = not self._question.is_added_to
            yield Input(self._question.value, compact=True, id="text", select_on_focus=selects)
            yield Label("enter takes it, esc cancels", id="text-note", classes="caption", markup=False)

    @on(Input.Changed)
    def _tell(self, event: Input.Changed) -> None:
        """Say what the text comes to."""
        if self._question.tell is None:
            return
        try:
            words = self._question.tell(event.value)
        except DistillError as error:
            words = str(error)
        self.query_one("#text-note", Label).update(visible(words) or "enter takes it, esc cancels")

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        try:
            if self._question.check is not None:
                self._question.check(event.value)
        except DistillError as error:
            self.query_one("#text-note", Label).update(str(error))
        else:
            self.dismiss(event.value)


class ChoiceDialog(ModalScreen[int | None]):
    """Ends with the number of the line that was chosen, from 0, or None."""

    BINDINGS = [
        Binding("escape", "dismiss(None)", "Cancel", id="choice.cancel"),
        Binding("j", "move('cursor_down')", "Down", show=False, id="choice.down"),
        Binding("k", "move('cursor_up')", "Up", show=False, id="choice.up"),
    ]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = Content(visible(self._title))
            yield OptionList(*(Content(visible(line)) for line in self._lines), id="choices", compact=True)
            yield Label("enter takes it, esc cancels", classes="caption")

    def action_move(self, action: str) -> None:
        """Move as the arrows do."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
