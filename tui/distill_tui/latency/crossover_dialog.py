"""The dialog that asks how long the search for the crossover may take, and how far it may go."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from distill_core.errors import DistillError
from distill_tui.crossover_limits import DEFAULT_HEADS, CrossoverLimits

Check = Callable[[CrossoverLimits], object]


class CrossoverDialog(ModalScreen[CrossoverLimits | None]):
    """Ends with limits that passed the check, or None.

    Args:
        limits: What stands there at first.
        check: Raises a `DistillError` for limits that cannot be kept, such as more heads than fit in memory.
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", id="crossover.cancel")]

    def __init__(self, limits: CrossoverLimits, check: Check) -> None:
        super().__init__()
        self._limits = limits
        self._check = check

    def compose(self) -> ComposeResult:
        """Lay out both fields above what is wrong with them."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Search for the crossover"
            yield Label("Time budget, seconds", classes="caption")
            yield Input(f"{self._limits.budget_seconds:g}", compact=True, id="budget")
            yield Label("Largest N, heads", classes="caption")
            yield Input(f"{self._limits.max_heads or DEFAULT_HEADS:,}", compact=True, id="max-heads")
            yield Label("enter starts, tab next field, esc cancels", id="crossover-note", classes="caption")

    @on(Input.Submitted)
    def _take(self) -> None:
        seconds, heads = (self.query_one(place, Input).value for place in ("#budget", "#max-heads"))
        try:
            limits = CrossoverLimits.parsed(seconds, heads)
            self._check(limits)
        except DistillError as error:
            self.query_one("#crossover-note", Label).update(str(error))
        else:
            self.dismiss(limits)
