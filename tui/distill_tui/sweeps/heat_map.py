"""The cells of a sweep over two of its settings, as a grid of figures on colours with a cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static

from distill_core.foreign_text import visible
from distill_core.sweeps.axes import Value
from distill_core.sweeps.events import CellShown, SweepShown
from distill_core.sweeps.exporting import value_words
from distill_core.wording import cosine_error

_COLUMN, _ROW = 12, 10


@dataclass(frozen=True, slots=True)
class Figure:
    """What a heat map can show of a cell.

    Attributes:
        title: In a few words.
        field: Of the cell: a spread, or a number.
        form: How it is written; an error as everywhere where it is empty.
        is_better_low: Whether low is good.
    """

    title: str
    field: str
    form: str = ""
    is_better_low: bool = False

    def of(self, cell: CellShown) -> float | None:
        """Return the value of a cell; None where it has none yet."""
        value = getattr(cell, self.field)
        value = getattr(value, "mean", value)
        if value is None:
            return None
        return 1.0 - value if self.field == "cosine" else float(value)

    def words(self, value: float) -> str:
        """Return a value as it is written."""
        return format(value, self.form) if self.form else cosine_error(value)


FIGURES = (
    Figure("1 - cosine", "cosine", is_better_low=True),
    Figure("skill", "skill", ".4f"),
    Figure("agreement", "agreement", ".3f"),
    Figure("p90 µs", "p90_us", ",.1f", is_better_low=True),
    Figure("parameters", "parameters", ",.0f", is_better_low=True),
)


def grid_of(sweep: SweepShown, across: str, down: str) -> dict[tuple[Value, Value], list[CellShown]]:
    """Return the cells by their values of two settings; several differ in other settings."""
    grid: dict[tuple[Value, Value], list[CellShown]] = {}
    for cell in sweep.cells:
        grid.setdefault((cell.settings.get(across), cell.settings.get(down)), []).append(cell)
    return grid


def marginal_lines(sweep: SweepShown, figure: Figure) -> Iterator[str]:
    """Yield, of each setting that varies, the mean of a figure at each of its values, over all else."""
    for name in dict.fromkeys(name for cell in sweep.cells for name in cell.settings):
        values: dict[Value, list[float]] = {}
        for cell in sweep.cells:
            if (value := figure.of(cell)) is not None and name in cell.settings:
                values.setdefault(cell.settings[name], []).append(value)
        if len(values) > 1:
            means = (
                f"{value_words(at)} {figure.words(sum(known) / len(known))}" for at, known in values.items()
            )
            yield visible(f"{name}: {'  '.join(means)}")


def best_of(cells: list[CellShown], figure: Figure) -> CellShown:
    """Return the cell that is best in a figure; one that has none yet only if no other has."""
    sign = 1.0 if figure.is_better_low else -1.0

    def rank(cell: CellShown) -> float:
        value = figure.of(cell)
        return float("inf") if value is None else sign * value

    return min(cells, key=rank)


class HeatMap(Static, can_focus=True):
    """Cells with the best figure over all other settings; the cursor goes by arrows and `hjkl`."""

    BINDINGS = [
        Binding("left,h", "move(-1, 0)", show=False, id="heat.left"),
        Binding("right,l", "move(1, 0)", show=False, id="heat.right"),
        Binding("up,k", "move(0, -1)", show=False, id="heat.up"),
        Binding("down,j", "move(0, 1)", show=False, id="heat.down"),
        Binding(
            "enter", "select", "Open run", id="heat.open", tooltip="Show the cell's best run on screen 3"
        ),
    ]

    sweep: reactive[SweepShown | None] = reactive(None)
    axes: reactive[tuple[str, str]] = reactive(("heads", "layers"))
    figure: reactive[Figure] = reactive(FIGURES[0])
    cursor: reactive[tuple[int, int]] = reactive((0, 0))

    class Moved(Message):
        """The cursor is on another cell, or its cell is another one."""

    class Selected(Message):
        """The run of the cell under the cursor is asked for."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__("", id=id, markup=False)

    @property
    def chosen(self) -> CellShown | None:
        """The cell under the cursor: the best of those that the figure stands for."""
        if self.sweep is None:
            return None
        columns, rows = self._values()
        if not columns or not rows:
            return None
        column, row = min(self.cursor[0], len(columns) - 1), min(self.cursor[1], len(rows) - 1)
        cells = grid_of(self.sweep, *self.axes).get((columns[column], rows[row]))
        return best_of(cells, self.figure) if cells else None

    def render(self) -> Text:
        """Draw the grid."""
        if self.sweep is None:
            return Text("")
        columns, rows = self._values()
        grid = grid_of(self.sweep, *self.axes)
        figures = {key: self.figure.of(best_of(cells, self.figure)) for key, cells in grid.items()}
        known = [value for value in figures.values() if value is not None]
        text = Text(no_wrap=True, overflow="crop")
        text.append(f"{self.figure.title}: {self.axes[0]} across, {self.axes[1]} down\n")
        text.append(" " * _ROW)
        for value in columns:
            text.append(visible(value_words(value))[: _COLUMN - 2].rjust(_COLUMN - 2) + "  ")
        for line, down in enumerate(rows):
            text.append("\n" + visible(value_words(down))[: _ROW - 1].ljust(_ROW))
            for column, across in enumerate(columns):
                at_cursor = (column, line) == self.cursor
                text.append_text(self._cell(figures.get((across, down), "none"), known, at_cursor=at_cursor))
        return text

    def watch_cursor(self) -> None:
        """Tell that another cell is looked at."""
        self.post_message(self.Moved())

    def watch_sweep(self) -> None:
        """Tell likewise."""
        self.post_message(self.Moved())

    def action_move(self, columns: int, rows: int) -> None:
        """Move the cursor."""
        across, down = self._values()
        column = min(max(self.cursor[0] + columns, 0), max(len(across) - 1, 0))
        self.cursor = column, min(max(self.cursor[1] + rows, 0), max(len(down) - 1, 0))

    def action_select(self) -> None:
        """Ask for the run of the cell."""
        self.post_message(self.Selected())

    def _values(self) -> tuple[list[Value], list[Value]]:
        cells = self.sweep.cells if self.sweep else ()
        across, down = (list(dict.fromkeys(cell.settings.get(name) for cell in cells)) for name in self.axes)
        return across, down

    def _cell(self, value: float | str | None, known: list[float], *, at_cursor: bool) -> Text:
        if isinstance(value, str):
            words, style = "", Style()
        elif value is None:
            words, style = "…", Style(dim=True)
        else:
            words, style = (
                self.figure.words(value),
                Style(bgcolor=self._shade(value, known), color="black"),
            )
        marked = f"›{words}‹" if at_cursor else f" {words} "
        return Text(marked.rjust(_COLUMN - 1), style + Style(bold=at_cursor, underline=at_cursor)) + Text(" ")

    def _shade(self, value: float, known: list[float]) -> str:
        low, high = min(known), max(known)
        share = 0.0 if high == low else (value - low) / (high - low)
        bad = share if self.figure.is_better_low else 1.0 - share
        return f"rgb({int(110 + 120 * bad)},{int(200 - 80 * bad)},{int(130 - 20 * bad)})"
