"""The line at the top: which screens there are, where one is, and what is going on."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from distill_tui.workbench import Workbench

SCREENS = ("teacher", "student", "train", "validate", "latency", "runs")


class TopBar(Widget):
    """One row: `1 Teacher 2 Student ...` on the left, the projection and the job on the right."""

    COMPONENT_CLASSES = {"top-bar--current", "top-bar--other", "top-bar--status"}
    DEFAULT_CSS = """
    TopBar {
        dock: top;
        height: 1;
        background: $panel;
        & > .top-bar--current { background: $primary; color: $text; text-style: bold; }
        & > .top-bar--other { color: $foreground; }
        & > .top-bar--status { color: $text-muted; }
    }
    """
    ALLOW_SELECT = False

    status: reactive[str] = reactive("")

    def __init__(self, current: str) -> None:
        super().__init__()
        self._current = current

    def on_mount(self) -> None:
        """Follow what the app is doing."""
        for name in ("teacher", "training", "latency", "crossover", "contestants", "busy_with"):
            self.watch(self.app, name, self._update_status)

    def render(self) -> Text:
        """Draw the tabs, and as much of the status as fits."""
        bar = Text(no_wrap=True, overflow="crop")
        for number, screen in enumerate(SCREENS, 1):
            part = "current" if screen == self._current else "other"
            bar.append(
                f" {number} {screen.capitalize()} ", self.get_visual_style(f"top-bar--{part}").rich_style
            )
        room = self.size.width - bar.cell_len - 2
        if room >= 8:
            status = Text(self.status, self.get_visual_style("top-bar--status").rich_style)
            status.truncate(room, overflow="ellipsis")
            bar.append(" " * (room - status.cell_len + 1))
            bar.append(status)
        return bar

    def _update_status(self) -> None:
        app = cast("Workbench", self.app)
        parts = []
        if app.busy_with:
            parts.append(f"{app.busy_with}…")
        if app.controller.is_busy:
            parts.append(f"{app.controller.job_name} {app.controller.state}")
        if app.teacher is not None:
            projection = app.teacher.projection
            parts.append(f"N {projection.num_heads} τ {app.teacher.teacher.temperature:g}")
            parts.append(f"{app.teacher.path.parent.name}/{app.teacher.path.name}")
        self.status = " · ".join(parts)
