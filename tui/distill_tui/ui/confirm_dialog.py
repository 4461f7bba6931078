"""The question before something is thrown away."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from distill_core.foreign_text import visible


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
