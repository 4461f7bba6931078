"""What the screens have in common: the bar on top, the keys at the bottom, the app's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from distill_tui.ui.top_bar import TopBar

if TYPE_CHECKING:
    from distill_tui.app import DistillApp


class WorkbenchScreen(Screen[None]):
    """A screen of the workbench; subclasses fill `compose_body`."""

    MODE: ClassVar[str] = ""

    @property
    def workbench(self) -> DistillApp:
        """The app, with its desks."""
        return cast("DistillApp", self.app)

    def compose(self) -> ComposeResult:
        """Lay out bar, body and footer."""
        yield TopBar(self.MODE)
        yield from self.compose_body()
        yield Footer(show_command_palette=False)

    def compose_body(self) -> ComposeResult:
        """Yield the widgets between bar and footer."""
        raise NotImplementedError
