"""The help of a screen: what it shows, in words, and its keys, read from the bindings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Markdown, Static

from distill_tui.ui.screen import KeyFooter

KeyRow = tuple[str, str]
"""A key as it is written, and what it does."""


class HelpScreen(ModalScreen[None]):
    """Text and keys of the screen below it, to scroll in."""

    BINDINGS = [
        Binding("escape,question_mark,f1,q", "dismiss(None)", "Close", key_display="esc", id="help.close"),
        Binding("j", "scroll(1)", "Down", key_display="↓ j", id="help.down"),
        Binding("k", "scroll(-1)", "Up", key_display="↑ k", id="help.up"),
        Binding("g", "scroll_to_end(-1)", "Top", id="help.top", show=False),
        Binding("G", "scroll_to_end(1)", "End", key_display="G", id="help.end", show=False),
    ]
    AUTO_FOCUS = "#help-scroll"

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._about = about

    def compose(self) -> ComposeResult:
        """Lay out the words over the keys."""
        with VerticalScroll(id="help-scroll", classes="dialog") as dialog:
            dialog.border_title = "Help"
            if words := cleandoc(self._about.HELP or ""):
                yield Markdown(words, id="help-words", open_links=False)
            for title, rows in key_groups(self._about):
                yield Static(title, classes="title")
                yield Static(_table(rows))
        yield KeyFooter()

    def action_scroll(self, lines: int) -> None:
        """Move by lines."""
        self._scroll.scroll_relative(y=lines, animate=False)

    def action_scroll_to_end(self, direction: int) -> None:
        """Go to the top or to the end."""
        if direction < 0:
            self._scroll.scroll_home(animate=False)
        else:
            self._scroll.scroll_end(animate=False)

    @property
    def _scroll(self) -> VerticalScroll:
        return self.query_one("#help-scroll", VerticalScroll)


def key_groups(screen: Screen[object]) -> Iterator[tuple[str, list[KeyRow]]]:
    """Yield the keys of a screen, of the widgets in it, and of the app, whether they work now or not.

    Only what this app has bound: lists and fields have their arrows, as everywhere.
    """
    widgets = [row for widget in screen.query("*") for row in _rows(widget)]
    for title, rows in (
        ("Keys of this screen", _rows(screen)),
        ("Inside its lists and fields", list(dict.fromkeys(widgets))),
        ("Everywhere", _rows(screen.app)),
    ):
        if rows:
            yield title, rows


def _rows(node: DOMNode) -> list[KeyRow]:
    """Return the node's own keys, one row for each binding, as the user's keymap has them."""
    bindings = node._bindings.copy()
    bindings.apply_keymap(node.app._keymap)
    rows: dict[str, tuple[list[str], str]] = {}
    for _key, binding in bindings:
        words = binding.tooltip or binding.description
        if binding.id and words:
            keys, _ = rows.setdefault(binding.id, ([], words))
            keys.append(node.app.get_key_display(binding))
    return [(" ".join(dict.fromkeys(keys)), words) for keys, words in rows.values()]


def _table(rows: list[KeyRow]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=8, no_wrap=True)
    table.add_column()
    for keys, words in rows:
        table.add_row(Text(keys), Text(words))
    return table
