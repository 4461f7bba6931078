"""The table of the screens."""

from __future__ import annotations

from typing import TypeVar

from textual.widgets import DataTable

Cell = TypeVar("Cell")


class RowTable(DataTable[Cell]):
    """A DataTable that draws its rows anew once it has measured them.

    Textual 8 measures new rows when it is idle. Rows that were drawn before that, as on a slow start, kept
    the width of the headings: "30" stood there as "3" until the terminal was resized.
    """

    def watch_virtual_size(self) -> None:
        """Forget what was drawn at other widths of the columns."""
        self.notify_style_update()
        self.refresh()
