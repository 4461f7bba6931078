"""How often which values come, with named values marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from textual.reactive import reactive

from distill_tui.charts.axes import HUGE, Axis, Tick, axis_ticks, linear_axis, short_number
from distill_tui.charts.braille import single_cells
from distill_tui.charts.frame import round_to_cell
from distill_tui.charts.history import FloatArray
from distill_tui.charts.still_chart import (
    FEWEST_COLUMNS,
    FEWEST_ROWS,
    FRAME_ROWS,
    SUBCELLS,
    Canvas,
    StillChart,
)

CELLS_PER_X_TICK, ROWS_PER_Y_TICK = 14, 3
LONGEST_LEADER = 12
"""How far, in cells, the name of a mark may lie from its line."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A value that a vertical line points out."""

    name: str
    value: float


class Histogram(StillChart):
    """A histogram of values; what is not finite is left out and counted in the title row."""

    values: reactive[tuple[float, ...]] = reactive(())
    bins: reactive[int] = reactive(40)
    """About how many bins; each is a whole number of cells wide."""
    marks: reactive[tuple[Mark, ...]] = reactive(())
    span: reactive[tuple[float, float] | None] = reactive(None)
    """A range to show at least, so that two histograms can share an axis."""

    def __init__(
        self,
        values: Sequence[float] = (),
        *,
        title: str = "",
        bins: int = 40,
        marks: tuple[Mark, ...] = (),
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.set_reactive(Histogram.values, tuple(values))
        self.set_reactive(Histogram.title, title)
        self.set_reactive(Histogram.bins, bins)
        self.set_reactive(Histogram.marks, marks)

    def draw(self, width: int, height: int) -> str | None:
        """Return the histogram over a rounded range that holds all values and marks."""
        finite, rows = self._finite, height - FRAME_ROWS
        if not finite.size or rows < FEWEST_ROWS:
            return None
        marks = [mark for mark in self.marks if abs(mark.value) <= HUGE]
        seen = np.concatenate((finite, [mark.value for mark in marks], self.span or ()))
        axis = linear_axis(float(seen.min()), float(seen.max()))
        gutter = len(str(finite.size))
        columns = width - gutter - 2
        if columns < FEWEST_COLUMNS:
            return None
        cells_per_bin = max(1, columns // max(self.bins, 1))
        counts = _count(finite, axis, columns // cells_per_bin)
        canvas = Canvas(counts.size * cells_per_bin, rows, gutter)
        top = self._draw_bars(canvas, np.repeat(counts, cells_per_bin * SUBCELLS))
        y_ticks = [t for t in axis_ticks(Axis(0, top), rows // ROWS_PER_Y_TICK + 1) if "." not in t.label]
        canvas.y_ticks([Tick(t.fraction, t.label.rjust(gutter)) for t in y_ticks])
        canvas.x_ticks(axis_ticks(axis, max(1, columns // CELLS_PER_X_TICK) + 1))
        grid = [list(line) for line in canvas.lines()]
        _draw_marks(grid, canvas, gutter + 1, axis, marks)
        return "\n".join("".join(row) for row in grid)

    def describe(self) -> str:
        """Return the number of values and their range in words."""
        if not self._finite.size:
            return "no values"
        low, high = short_number(float(self._finite.min())), short_number(float(self._finite.max()))
        return f"{self._finite.size} values, {low} to {high}"

    def note(self) -> str:
        """Return how many values are not shown."""
        missing = len(self.values) - self._finite.size
        return f"{missing} NaN or inf" if missing else ""

    @property
    def _finite(self) -> FloatArray:
        values = np.asarray(self.values, dtype=np.float64)
        return values[np.abs(values) <= HUGE]

    @staticmethod
    def _draw_bars(canvas: Canvas, counts: FloatArray) -> float:
        """Fill a column of dots for every count above zero; return the count at the top."""
        top = max(float(counts.max()), 1.0)
        columns = np.flatnonzero(counts)
        heights = np.maximum(counts[columns] / top * (canvas.down - 1), 0.0)
        if columns.size:
            canvas.figure.scatter(columns.tolist(), heights.tolist(), marker="hd", fillx=True)
        return top


def _count(values: FloatArray, axis: Axis, bins: int) -> FloatArray:
    """Count values in `bins` equal parts of the axis."""
    index = np.minimum((axis.fractions(values) * bins).astype(np.int64), bins - 1)
    return np.bincount(index, minlength=bins).astype(np.float64)


def _draw_marks(grid: list[list[str]], canvas: Canvas, left: int, axis: Axis, marks: Sequence[Mark]) -> None:
    """Draw a line from frame to frame behind the bars for every mark, then the names."""
    fractions = axis.fractions(np.array([mark.value for mark in marks], dtype=np.float64))
    columns = [left + round_to_cell(fraction, canvas.columns) for fraction in fractions.tolist()]
    for column in columns:
        for row in range(canvas.rows + 2):
            if grid[row][column] in " ─┬":
                grid[row][column] = "┬" if row == 0 else "┴" if row == canvas.rows + 1 else "│"
    for column, mark in zip(columns, marks, strict=True):
        _name_mark(grid[: canvas.rows + 1], column, f" {single_cells(mark.name)} {short_number(mark.value)} ")


def _name_mark(grid: list[list[str]], column: int, name: str) -> None:
    """Write a name in the first free room beside a column, joined by a leader where it is not next to it."""
    for gap, row, is_right in product(range(LONGEST_LEADER + 1), grid, (True, False)):
        start = column + 1 + gap if is_right else column - gap - len(name)
        leader = range(column + 1, start) if is_right else range(start + len(name), column)
        cells = row[max(start, 0) : start + len(name)]
        is_free = len(cells) == len(name) and set(cells) <= {" ", "─"}
        if is_free and (not gap or row[column] == "│") and {row[cell] for cell in leader} <= {" ", "│"}:
            row[start : start + len(name)] = name
            for cell in leader:
                row[cell] = "┼" if row[cell] == "│" else "─"
            if gap:
                row[column] = "├" if is_right else "┤"
            return
