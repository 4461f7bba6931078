"""The dialog that asks how long the search for the crossover may take, and how far it may go."""

from __future__ import annotations

import math
from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from distill_core.errors import DistillError
from distill_core.latency.measurement import DEFAULT_MAX_HEADS, CrossoverSettings

Check = Callable[[CrossoverSettings], object]


class CrossoverDialog(ModalScreen[CrossoverSettings | None]):
    """Ends with settings that passed the check, or None.

    Args:
        settings: What stands there at first.
        check: Raises a `DistillError` for what cannot be done, such as more heads than fit in memory.
    """

    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel", id="crossover.cancel")]

    def __init__(self, settings: CrossoverSettings, check: Check) -> None:
        super().__init__()
        self._settings = settings
        self._check = check

    def compose(self) -> ComposeResult:
        """Lay out both fields above what is wrong with them."""
        with Vertical(classes="dialog small") as dialog:
            dialog.border_title = "Search for the crossover"
            yield Label("Time budget, seconds", classes="caption")
            yield Input(f"{self._settings.budget_seconds:g}", compact=True, id="budget")
            yield Label("Largest N, heads", classes="caption")
            yield Input(f"{self._settings.max_heads or DEFAULT_MAX_HEADS:,}", compact=True, id="max-heads")
            yield Label("enter starts, tab next field, esc cancels", id="crossover-note", classes="caption")

    @on(Input.Submitted)
    def _take(self) -> None:
        seconds, heads = (self.query_one(place, Input).value for place in ("#budget", "#max-heads"))
        try:
            settings = typed_settings(seconds, heads)
            self._check(settings)
        except DistillError as error:
            self.query_one("#crossover-note", Label).update(str(error))
        else:
            self.dismiss(settings)


def typed_settings(seconds: str, heads: str) -> CrossoverSettings:
    """Read what was typed; digits may be grouped by commas, and an empty field is the default.

    Raises:
        SettingsError: Names the field, `budget_seconds` or `max_heads`.
    """
    defaults = CrossoverSettings()
    budget, count = seconds.strip(), heads.replace(",", "").replace("_", "").strip()
    try:
        budget_seconds = float(budget or defaults.budget_seconds)
    except ValueError:
        budget_seconds = math.nan
    max_heads = int(count or DEFAULT_MAX_HEADS) if (count or "0").isdecimal() else 0
    return CrossoverSettings(
        budget_seconds=budget_seconds, max_heads=None if max_heads == DEFAULT_MAX_HEADS else max_heads
    )
