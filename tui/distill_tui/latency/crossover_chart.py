"""Microseconds a query over the number of heads: the LDA, the fixed student and the one that grows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from textual.reactive import reactive

from distill_core.latency.crossover import Bracket, CrossoverFinished, CrossoverPoint, case_name
from distill_tui.charts.axes import Axis, Tick, axis_ticks, log_axis
from distill_tui.charts.still_chart import FEWEST_COLUMNS, FRAME_ROWS, SUBCELLS, Canvas, StillChart
from distill_tui.text import bracket_words

FIXED, GROWN = "F", "G"
FIXED_BRACKET, GROWN_BRACKET = "░", "▒"
CURSOR, LINE = "│", "·"
CELLS_PER_X_TICK, ROWS_PER_Y_TICK = 12, 3
FEWEST_ROWS = 4


class CrossoverChart(StillChart):
    """Three curves at one batch size on log axes, both brackets shaded, and a cursor at one measured N."""

    result: reactive[CrossoverFinished | None] = reactive(None)
    batch_size: reactive[int] = reactive(1)
    cursor: reactive[int] = reactive(0)
    """The N that is read; it stands at the measured one nearest to it."""

    def points(self) -> list[CrossoverPoint]:
        """Return what is shown, by ascending N."""
        curve = () if self.result is None else self.result.curve
        return [point for point in curve if point.batch_size == self.batch_size]

    def point_at_cursor(self) -> CrossoverPoint | None:
        """Return the point that is read; None where there is none."""
        points = self.points()
        return min(points, key=lambda point: abs(np.log(point.num_heads / max(self.cursor, 1))), default=None)

    def move_cursor(self, steps: int) -> None:
        """Go to the next N to the right, or to the left."""
        heads = [point.num_heads for point in self.points()]
        present = self.point_at_cursor()
        if present is not None:
            index = heads.index(present.num_heads) + steps
            self.cursor = heads[min(max(index, 0), len(heads) - 1)]

    def brackets(self) -> list[tuple[str, Bracket]]:
        """Return the shade and the bracket of both students at this batch size."""
        if self.result is None:
            return []
        case = case_name(self.batch_size)
        both = ((FIXED_BRACKET, self.result.fixed), (GROWN_BRACKET, self.result.grown))
        return [(shade, brackets[case]) for shade, brackets in both if case in brackets]

    def draw(self, width: int, height: int) -> str | None:
        """Return the picture, or None without room or points."""
        points, rows = self.points(), height - FRAME_ROWS
        if not points or rows < FEWEST_ROWS:
            return None
        x_axis, y_axis = _axes(points)
        y_ticks = axis_ticks(y_axis, rows // ROWS_PER_Y_TICK + 1)
        gutter = max(len(tick.label) for tick in y_ticks)
        columns = width - gutter - 2
        if columns < FEWEST_COLUMNS:
            return None
        canvas = Canvas(columns, rows, gutter)
        for shade, bracket in self.brackets():
            _shade(canvas, x_axis, bracket, shade)
        present = self.point_at_cursor()
        if present is not None:
            (column,) = _dots(x_axis, [present.num_heads], canvas.across)
            canvas.figure.scatter([column] * canvas.down, list(range(canvas.down)), marker=CURSOR)
        _draw_curves(canvas, points, (x_axis, y_axis))
        canvas.y_ticks([Tick(tick.fraction, tick.label.rjust(gutter)) for tick in y_ticks])
        canvas.x_ticks(axis_ticks(x_axis, max(1, columns // CELLS_PER_X_TICK) + 1))
        return "\n".join(canvas.lines())

    def describe(self) -> str:
        """Return the brackets in words."""
        brackets = [bracket_words(bracket) for _shade, bracket in self.brackets()]
        return "\n".join(brackets) or "no curves yet"

    def note(self) -> str:
        """Return what the marks are."""
        if not self.points():
            return ""
        shades = [
            name for (shade, bracket), name in zip(self.brackets(), _names(), strict=False) if bracket.reached
        ]
        return "  ".join(["█ LDA", f"{FIXED} this student", f"{GROWN} grown", *shades, "both axes log"])


def _names() -> tuple[str, str]:
    return f"{FIXED_BRACKET} bracket of {FIXED}", f"{GROWN_BRACKET} of {GROWN}"


def _axes(points: Sequence[CrossoverPoint]) -> tuple[Axis, Axis]:
    times = [time for point in points for time in (point.lda_us, point.fixed.us, point.grown.us)]
    return log_axis(points[0].num_heads, points[-1].num_heads), log_axis(min(times), max(times))


def _draw_curves(canvas: Canvas, points: Sequence[CrossoverPoint], axes: tuple[Axis, Axis]) -> None:
    """Draw the lines first, so that none hides a mark."""
    across = _dots(axes[0], [point.num_heads for point in points], canvas.across)
    lda, fixed, grown = (
        _dots(axes[1], times, canvas.down)
        for times in (
            [point.lda_us for point in points],
            [point.fixed.us for point in points],
            [point.grown.us for point in points],
        )
    )
    for down in (fixed, grown):
        canvas.figure.plot(across, down, marker=LINE)
    canvas.figure.plot(across, lda, marker="hd")
    for down, mark in ((grown, GROWN), (fixed, FIXED)):
        canvas.figure.scatter(across, down, marker=mark)


def _shade(canvas: Canvas, axis: Axis, bracket: Bracket, shade: str) -> None:
    if bracket.high is None:
        return
    low, high = _dots(axis, [bracket.low or bracket.high, bracket.high], canvas.across)
    for column in np.arange(low, high + SUBCELLS / 2).tolist():
        canvas.figure.scatter([column] * canvas.down, list(range(canvas.down)), marker=shade)


def _dots(axis: Axis, values: Sequence[float], count: int) -> list[float]:
    """Return where values lie among so many dots."""
    fractions = axis.fractions(np.array(values, dtype=np.float64))
    return [float(fraction) * (count - 1) for fraction in fractions]
