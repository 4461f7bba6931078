"""What the screens have in common: the bar on top, the keys at the bottom, the app's type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import DescendantBlur, DescendantFocus
from textual.reactive import reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import DataTable, Footer, OptionList

from distill_core.errors import DistillError
from distill_core.foreign_text import visible

if TYPE_CHECKING:
    from distill_core.config import RunConfig
    from distill_tui.app import DistillApp
    from distill_tui.ui.desk import Desk


WIDE_ENOUGH = 100
"""Columns from which the names of all screens have room beside what the screen is about."""


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
        app = cast("DistillApp", self.app)
        desks: tuple[Desk[Any], ...] = (app.teacher, app.training, *app.latency.all, app.busy_with)
        for desk in desks:
            desk.follow(self, lambda _view: self._update_status())

    def render(self) -> Text:
        """Draw the tabs, and as much of the status as fits."""
        bar = Text(no_wrap=True, overflow="crop")
        is_narrow = self.size.width < WIDE_ENOUGH
        for number, screen in enumerate(cast("DistillApp", self.app).modes, 1):
            part = "current" if screen == self._current else "other"
            name = screen[:3] if is_narrow and part == "other" else screen
            style = self.get_visual_style(f"top-bar--{part}").rich_style
            bar.append(f" {number} {name.capitalize()} ", style)
        room = self.size.width - bar.cell_len - 2
        if room >= 8:
            status = Text(self.status, self.get_visual_style("top-bar--status").rich_style)
            status.truncate(room, overflow="ellipsis")
            bar.append(" " * (room - status.cell_len + 1))
            bar.append(status)
        return bar

    def _update_status(self) -> None:
        app = cast("DistillApp", self.app)
        parts = []
        if app.busy_with.view:
            parts.append(f"{app.busy_with.view}…")
        if app.jobs.is_busy:
            parts.append(f"{app.jobs.job_name} {app.jobs.state}")
        run = app.training.view
        if self._current in ("train", "validate") and run.teacher_words:
            parts.append(run.teacher_words)  # the figures below are of this one, whichever is open
        elif (view := app.teacher.view) is not None:
            parts.append(f"N {view.projection.num_heads} τ {view.teacher.temperature:g}")
            parts.append(f"{view.path.parent.name}/{view.path.name}")
        self.status = visible(" · ".join(parts))


class KeyFooter(Footer):
    """The keys that work now, laid out anew only when they are others.

    Textual's own footer makes its widgets again whenever a key may have changed: with every job, every
    cursor and every focus.
    """

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._shown: list[tuple[Binding, bool, str]] = []

    def compose(self) -> ComposeResult:
        """Lay out the keys, and note which."""
        if self._bindings_ready:
            self._shown = self._keys()
        yield from super().compose()

    async def recompose(self) -> None:
        """Lay out the keys anew if they are others than those that are shown."""
        if self.is_attached and self._keys() != self._shown:
            await super().recompose()

    def _keys(self) -> list[tuple[Binding, bool, str]]:
        active = self.screen.active_bindings.values()
        return [(binding, enabled, tooltip) for _, binding, enabled, tooltip in active if binding.show]


class WorkbenchScreen(Screen[None]):
    """A screen of the workbench; subclasses fill `compose_body`."""

    MODE: ClassVar[str] = ""
    BINDINGS = [
        Binding("y", "copy", "Copy", show=False, id="screen.copy", tooltip="Copy the row or the path"),
        Binding(
            "Y",
            "copy_command",
            "Copy command",
            show=False,
            key_display="Y",
            id="screen.copy_command",
            tooltip="Copy the command that does the same without the app",
        ),
        Binding("S", "save_picture", "Save as SVG", show=False, key_display="S", id="screen.picture"),
    ]

    @property
    def workbench(self) -> DistillApp:
        """The app, with its desks."""
        return cast("DistillApp", self.app)

    def compose(self) -> ComposeResult:
        """Lay out bar, body and footer."""
        yield TopBar(self.MODE)
        yield from self.compose_body()
        yield KeyFooter()

    def compose_body(self) -> ComposeResult:
        """Yield the widgets between bar and footer."""
        raise NotImplementedError

    @on(DescendantFocus)
    @on(DescendantBlur)
    def _mark_panes(self) -> None:
        """Mark the pane with the focus; `:focus-within` would style all of it anew at each move inside."""
        for pane in self.query(".pane"):
            if pane.has_focus_within != pane.has_class("-with-focus"):
                pane.set_class(pane.has_focus_within, "-with-focus", update=False)
                self.app.stylesheet.update_nodes([pane])  # the border is the pane's own: its children stay

    def in_hand(self) -> str:
        """Return what the cursor is on, as text for elsewhere; empty where that is nothing."""
        focused = self.focused
        if isinstance(focused, DataTable) and focused.is_valid_row_index(focused.cursor_row):
            return "\t".join(_plain(cell) for cell in focused.get_row_at(focused.cursor_row))
        if isinstance(focused, OptionList) and (option := focused.highlighted_option) is not None:
            return _plain(option.prompt)
        return ""

    def command_in_hand(self) -> RunConfig | None:
        """Return the settings whose command is to be copied; None where there are none."""
        started = self.workbench.training.view.started
        return started.config if started is not None else None

    def picture(self) -> str:
        """Return what is shown, as SVG."""
        return self.app.export_screenshot(title="distill-tui")

    def action_save_picture(self) -> None:
        """Ask where to, and write what is shown now as SVG."""
        from distill_core.outputs import Output
        from distill_tui.places import typed_path
        from distill_tui.ui.dialogs import Question, TextDialog

        picture = self.picture().encode()

        def save(text: str | None) -> None:
            if text is None:
                return
            try:
                path = Output(typed_path(text)).write(picture)
            except DistillError as error:
                self.workbench.complain("Not saved")(error)
            else:
                self.notify(str(path.absolute()), title="Saved")

        def check(text: str) -> object:
            return Output(typed_path(text))

        names = (f"distill-{self.MODE}{number}.svg" for number in ("", *(f"-{n}" for n in range(2, 1000))))
        free = next((name for name in names if not typed_path(name).exists()), "")
        self.app.push_screen(TextDialog(Question("Save as SVG", "To a new file", free, check)), save)

    def action_copy(self) -> None:
        """Copy what the cursor is on."""
        self.copy(self.in_hand(), "Nothing to copy here: go to a row first.")

    def action_copy_command(self) -> None:
        """Copy the command that trains with the settings in hand."""
        from distill_core.export.card import train_command

        config = self.command_in_hand()
        self.copy(train_command(config) if config else "", "No run here whose command could be copied.")

    def copy(self, text: str, why_not: str) -> None:
        """Put a text into the terminal's clipboard, and say so; else say why there is none."""
        if text:
            self.app.copy_to_clipboard(text)
            self.notify(text, title="Copied", markup=False)
        else:
            self.notify(why_not, severity="warning")


def _plain(cell: object) -> str:
    text = getattr(cell, "plain", None) or getattr(cell, "text", None) or str(cell)
    return " ".join(visible(str(text), 2_000).split())
