"""The table of runs: any number of them, drawn and measured only where they are seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.widgets.data_table import RowKey

from distill_tui.runs.columns import Column
from distill_tui.runs.rows import RunRow, columns_of
from distill_tui.ui.table import RowTable

MARK = "mark"
_MARK_CELLS = 3
_NAMED_COLUMNS = 2
"""How many columns stay in place while the others are scrolled: the mark and the name."""


class Cell(NamedTuple):
    """A text that becomes a `Text` only when it is drawn; a str would be read as markup."""

    text: str
    style: Style | str = ""
    is_number: bool = False

    def __rich__(self) -> Text:
        """Return what is drawn."""
        return Text(
            self.text,
            self.style,
            justify="right" if self.is_number else None,
            no_wrap=True,
            overflow="ellipsis",
        )


class RunTable(RowTable[Cell]):
    """One row a run; the key of a row is the folder. Space marks, enter opens."""

    COMPONENT_CLASSES = {"run-table--running", "run-table--problem", "run-table--mark"}
    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        & > .datatable--fixed { background: transparent; }
        & > .run-table--running { color: $text-success; }
        & > .run-table--problem { color: $text-error; }
        & > .run-table--mark { color: $text-primary; text-style: bold; }
    }
    """
    BINDINGS = [
        Binding("enter", "select_cursor", "Show", id="runs.show", tooltip="On the train screen, live"),
        Binding("j", "cursor_down", "Down", show=False, id="runs.down"),
        Binding("k", "cursor_up", "Up", show=False, id="runs.up"),
        Binding("h", "cursor_left", "Left", show=False, id="runs.left"),
        Binding("l", "cursor_right", "Right", show=False, id="runs.right"),
        Binding("g", "scroll_top", "First", show=False, id="runs.first"),
        Binding("G", "scroll_bottom", "Last", show=False, id="runs.last"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, cursor_type="row", zebra_stripes=True, fixed_columns=_NAMED_COLUMNS)
        self._columns: tuple[Column, ...] = ()
        self._widths: list[int] = []

    @property
    def path_at_cursor(self) -> str | None:
        """The folder of the run under the cursor; None in an empty table."""
        if not self.is_valid_row_index(self.cursor_row):
            return None
        return self.ordered_rows[self.cursor_row].key.value

    def show(self, rows: Sequence[RunRow], marks: Mapping[str, str], sorted_by: str, arrow: str) -> None:
        """Show these runs; the cursor stays on its run, and nothing else moves that need not.

        Args:
            rows: In this order.
            marks: What stands before a run, by its path.
            sorted_by: Name of the column in whose header the arrow stands.
            arrow: Which way.
        """
        columns = columns_of(rows)
        titles = [f"{column.name} {arrow}" if column.name == sorted_by else column.name for column in columns]
        widths = _widths(columns, titles, rows)
        keys = [row.run.path for row in rows]
        if (columns, titles, widths, keys) == (self._columns, self._titles(), self._widths, self._keys()):
            self._update(rows, marks)
            return
        path, row_at, offset = self.path_at_cursor, self.cursor_row, self.scroll_offset
        if columns != self._columns:
            self._name_columns(columns)
        self._set_columns(titles, widths)
        self.clear()
        for row in rows:
            self.add_row(*self._cells(row, marks), key=row.run.path)
        if (
            path is not None and keys
        ):  # of a run that is gone the next one has the cursor, as it has its place
            row_at = keys.index(path) if path in keys else min(row_at, len(keys) - 1)
            self.move_cursor(row=row_at, animate=False)
            self.call_after_refresh(self.scroll_to, *offset, animate=False)

    def mark(self, marks: Mapping[str, str]) -> None:
        """Show other marks before the same runs."""
        for row in self.ordered_rows:
            if row.key.value is not None:
                self._put(row.key.value, MARK, self._mark(marks.get(row.key.value, "")))

    def _update_dimensions(self, new_rows: Iterable[RowKey]) -> None:
        """Measure no cell: the widths are set, and to measure 15,000 cells takes half a second.

        Overrides a method that Textual calls for itself; without it the table is slow, and no more.
        """
        super()._update_dimensions(())

    def _titles(self) -> list[str]:
        return [column.label.plain for column in self.ordered_columns[1:]]

    def _keys(self) -> list[str | None]:
        return [row.key.value for row in self.ordered_rows]

    def _name_columns(self, columns: tuple[Column, ...]) -> None:
        """Make the columns anew, in another order."""
        self._columns = columns
        self.clear(columns=True)
        self.add_column("", width=_MARK_CELLS, key=MARK)
        for column in columns:
            self.add_column(column.name, width=len(column.name), key=column.name)

    def _set_columns(self, titles: list[str], widths: list[int]) -> None:
        self._widths = widths
        for column, known, title, width in zip(
            self.ordered_columns[1:], self._columns, titles, widths, strict=True
        ):
            column.width = width
            column.label = Text(title, justify="right" if known.is_number else "left")

    def _update(self, rows: Sequence[RunRow], marks: Mapping[str, str]) -> None:
        """Change the cells that say something else now."""
        for row in rows:
            names = (MARK, *(column.name for column in self._columns))
            for name, cell in zip(names, self._cells(row, marks), strict=True):
                self._put(row.run.path, name, cell)

    def _put(self, path: str, name: str, cell: Cell) -> None:
        if self.get_cell(path, name) != cell:
            self.update_cell(path, name, cell)

    def _cells(self, row: RunRow, marks: Mapping[str, str]) -> list[Cell]:
        return [
            self._mark(marks.get(row.run.path, "")),
            *(
                Cell(
                    row.texts[column.name],
                    self._style(row) if column.name == "state" else "",
                    column.is_number,
                )
                for column in self._columns
            ),
        ]

    def _mark(self, text: str) -> Cell:
        return Cell(text, self._ink("mark") if text else "")

    def _style(self, row: RunRow) -> Style | str:
        if row.run.problem or row.run.state in ("failed", "unknown"):
            return self._ink("problem")
        if row.run.state == "running":
            return self._ink("running")
        return ""

    def _ink(self, name: str) -> Style:
        """Return a style without its background, which is the cursor's to set."""
        style = self.get_visual_style(f"run-table--{name}").rich_style
        return Style(color=style.color, bold=style.bold)


def _widths(columns: Sequence[Column], titles: Sequence[str], rows: Sequence[RunRow]) -> list[int]:
    """Return how many cells each column takes: what its widest text needs, up to its limit."""
    return [
        max(
            cell_len(title),
            min(column.max_cells, max((cell_len(row.texts[column.name]) for row in rows), default=0)),
        )
        for column, title in zip(columns, titles, strict=True)
    ]
