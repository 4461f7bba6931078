"""A dialog that asks for one line of text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from distill_core.errors import DistillError
from distill_core.foreign_text import visible


@dataclass(frozen=True, slots=True)
class Question:
    """What a dialog asks.

    Attributes:
        title: Of the dialog.
        caption: What to type.
        value: What stands there at first.
        check: Raises a `DistillError` for a text that cannot be taken; it is shown below the field.
    """

    title: str
    caption: str
    value: str = ""
    check: Callable[[str], object] | None = None


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
            yield Input(self._question.value, compact=True, id="text")
            yield Label("enter takes it, esc cancels", id="text-note", classes="caption", markup=False)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        try:
            if self._question.check is not None:
                self._question.check(event.value)
        except DistillError as error:
            self.query_one("#text-note", Label).update(str(error))
        else:
            self.dismiss(event.value)
