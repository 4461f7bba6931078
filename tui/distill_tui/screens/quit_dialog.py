"""The question before a running job is left."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label


class QuitDialog(ModalScreen[bool]):
    """Ends with True to stop and leave, False to go on."""

    BINDINGS = [
        Binding("escape,c", "dismiss(False)", "Cancel", id="quit.cancel"),
        Binding("s", "dismiss(True)", "Stop and leave", id="quit.stop"),
        Binding("left,right,h,l", "app.focus_next", show=False, id="quit.move"),
    ]

    def __init__(self, job_name: str) -> None:
        super().__init__()
        self._job_name = job_name

    def compose(self) -> ComposeResult:
        """Lay out the question; Cancel has the focus."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Leave?"
            yield Label(f"The {self._job_name} is still going. Leaving stops it; what is not saved is lost.")
            with Horizontal(classes="buttons"):
                yield Button("Cancel (c)", id="cancel", action="screen.dismiss(False)", compact=True)
                yield Button("Stop and leave (s)", id="stop", action="screen.dismiss(True)", compact=True)
