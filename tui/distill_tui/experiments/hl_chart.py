"""The error of an experiment's students against H, L, H^L or their parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from textual.reactive import reactive

from distill_core.experiments.hl_events import HlFinished, HlRow
from distill_core.experiments.hl_settings import STUDENTS
from distill_tui.charts.axes import Axis, Tick, axis_ticks, linear_axis, log_axis, short_number
from distill_tui.charts.still_chart import FEWEST_COLUMNS, FRAME_ROWS, Canvas, StillChart

Against = Literal["H", "L", "H^L", "parameters"]

QUANTITIES: dict[Against, Callable[[HlRow], int]] = {
    "H": lambda row: row.heads,
    "L": lambda row: row.layers,
    "H^L": lambda row: row.flat_heads,
    "parameters": lambda row: row.parameters,
}
SPREAD = "│"
CELLS_PER_X_TICK, ROWS_PER_Y_TICK = 12, 3
FEWEST_ROWS = 3
SMALLEST_ERROR = 1e-12
"""An error of 0 is drawn here: a log scale has none."""


class HlChart(StillChart):
    """One mark for each H and L at one N, on log scales: its L, or its H where L is the axis.

    A mark stands at the mean over the seeds; the line through it spans them. If H^L = N explained the error,
    marks of every L would lie on one curve against H^L.
    """

    result: reactive[HlFinished | None] = reactive(None)
    student: reactive[str] = reactive(STUDENTS[-1])
    teacher_heads: reactive[int | None] = reactive(None)
    """N; None for the largest of the experiment."""
    against: reactive[Against] = reactive[Against]("H^L")

    def __init__(
        self,
        result: HlFinished | None = None,
        *,
        student: str = STUDENTS[-1],
        teacher_heads: int | None = None,
        against: Against = "H^L",
        title: str = "",
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.set_reactive(HlChart.result, result)
        self.set_reactive(HlChart.student, student)
        self.set_reactive(HlChart.teacher_heads, teacher_heads)
        self.set_reactive(HlChart.against, against)
        self.set_reactive(HlChart.title, title)

    def draw(self, width: int, height: int) -> str | None:
        """Return the picture, or None without room or rows."""
        return error_chart(self._rows(), self.against, (width, height))

    def describe(self) -> str:
        """Return the errors in words, one a row."""
        return (
            "\n".join(
                f"H {row.heads} L {row.layers} error {short_number(row.test_error)}" for row in self._rows()
            )
            or "no students yet"
        )

    def note(self) -> str:
        """Return which students these are, what the axis is, and what a mark says."""
        rows = self._rows()
        if not rows:
            return ""
        which = f"{self.student}, N = {rows[0].teacher_heads}"
        return f"{which}  error against {self.against}  {mark_note(rows, self.against)}"

    def _rows(self) -> list[HlRow]:
        return [] if self.result is None else rows_of(self.result, self.student, self.teacher_heads)


def rows_of(result: HlFinished, student: str, teacher_heads: int | None = None) -> list[HlRow]:
    """Return the rows of one kind of student at one N, by default the largest."""
    rows = [row for row in result.table if row.student == student]
    largest = max((row.teacher_heads for row in rows), default=0)
    return [row for row in rows if row.teacher_heads == (teacher_heads or largest)]


def error_chart(rows: Sequence[HlRow], against: Against, size: tuple[int, int]) -> str | None:
    """Draw rows of one student and N at a size in cells (width, height); None without room or rows."""
    if not rows or size[1] - FRAME_ROWS < FEWEST_ROWS:
        return None
    x_axis, y_axis = _x_axis(rows, against), _y_axis(rows)
    canvas_rows = size[1] - FRAME_ROWS
    y_ticks = axis_ticks(y_axis, canvas_rows // ROWS_PER_Y_TICK + 1)
    gutter = max(len(tick.label) for tick in y_ticks)
    columns = size[0] - gutter - 2
    if columns < FEWEST_COLUMNS:
        return None
    canvas = Canvas(columns, canvas_rows, gutter)
    _draw_marks(canvas, rows, against, (x_axis, y_axis))
    canvas.y_ticks([Tick(tick.fraction, tick.label.rjust(gutter)) for tick in y_ticks])
    x_ticks = axis_ticks(x_axis, max(1, columns // CELLS_PER_X_TICK) + 1)
    canvas.x_ticks([tick for tick in x_ticks if "." not in tick.label])
    return "\n".join(canvas.lines())


def mark_note(rows: Sequence[HlRow], against: Against) -> str:
    """Say what the marks stand for, with the letters of numbers above 9."""
    letters = [f"{mark} = {value}" for value, mark in _marks(rows, against).items() if mark != str(value)]
    return f"marks: {'H' if against == 'L' else 'L'}" + (f" ({', '.join(letters)})" if letters else "")


def _draw_marks(canvas: Canvas, rows: Sequence[HlRow], against: Against, axes: tuple[Axis, Axis]) -> None:
    """Draw the lines of the spreads first, so that no line hides a mark."""
    marks = _marks(rows, against)
    across = _dots(axes[0], [QUANTITIES[against](row) for row in rows], canvas.across)
    lowest, means, highest = (
        _dots(axes[1], [getattr(row, name) for row in rows], canvas.down)
        for name in ("lowest", "test_error", "highest")
    )
    for x, low, high in zip(across, lowest, highest, strict=True):
        spread = np.arange(low, high + 0.5).tolist()
        canvas.figure.scatter([x] * len(spread), spread, marker=SPREAD)
    for x, y, row in zip(across, means, rows, strict=True):
        canvas.figure.scatter([x], [y], marker=marks[_marked(row, against)])


def _dots(axis: Axis, values: Sequence[float], count: int) -> list[float]:
    """Return where values lie among so many dots."""
    fractions = axis.fractions(np.maximum(np.array(values, dtype=np.float64), SMALLEST_ERROR))
    return [float(fraction) * (count - 1) for fraction in fractions]


def _marks(rows: Sequence[HlRow], against: Against) -> dict[int, str]:
    """Return a digit, or from 10 on a letter, for each number that is marked."""
    values = sorted({_marked(row, against) for row in rows})
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    return {value: str(value) if value < 10 else next(letters, "*") for value in values}


def _marked(row: HlRow, against: Against) -> int:
    return row.heads if against == "L" else row.layers


def _x_axis(rows: Sequence[HlRow], against: Against) -> Axis:
    values = [QUANTITIES[against](row) for row in rows]
    return linear_axis(min(values), max(values)) if against == "L" else log_axis(min(values), max(values))


def _y_axis(rows: Sequence[HlRow]) -> Axis:
    lowest = max(min(row.lowest for row in rows), SMALLEST_ERROR)
    return log_axis(lowest, max(lowest, *(row.highest for row in rows)))
