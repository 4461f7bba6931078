"""The question before a running job is left."""

from __future__ import annotations

from typing import Literal

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

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
