"""The dialog that asks where to write the student."""

from __future__ import annotations

from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from distill_core.errors import OutputError
from distill_core.outputs import Output
from distill_tui.typed_path import is_folder, is_there, typed_path


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
