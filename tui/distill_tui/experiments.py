"""The result of an experiment on H^L = N: its chart, and what explains the error, in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from distill_core.experiments.hl_events import STUDENTS, HlFinished, HlRow
from distill_core.foreign_text import visible
from distill_tui.charts.axes import Axis, linear_axis, log_axis, short_number
from distill_tui.charts.still_chart import Canvas, StillChart, canvas_between, dots_along

Against = Literal["H", "L", "H^L", "parameters"]

QUANTITIES: dict[Against, Callable[[HlRow], int]] = {
    "H": lambda row: row.heads,
    "L": lambda row: row.layers,
    "H^L": lambda row: row.flat_heads,
    "parameters": lambda row: row.parameters,
}
SPREAD = "│"
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
    if not rows:
        return None
    axes = _x_axis(rows, against), _y_axis(rows)
    canvas = canvas_between(axes, size, FEWEST_ROWS, only_whole=True)
    if canvas is None:
        return None
    _draw_marks(canvas, rows, against, axes)
    return "\n".join(canvas.lines())


def mark_note(rows: Sequence[HlRow], against: Against) -> str:
    """Say what the marks stand for, with the letters of numbers above 9."""
    letters = [f"{mark} = {value}" for value, mark in _marks(rows, against).items() if mark != str(value)]
    return f"marks: {'H' if against == 'L' else 'L'}" + (f" ({', '.join(letters)})" if letters else "")


def _draw_marks(canvas: Canvas, rows: Sequence[HlRow], against: Against, axes: tuple[Axis, Axis]) -> None:
    """Draw the lines of the spreads first, so that no line hides a mark."""
    marks = _marks(rows, against)
    across = dots_along(axes[0], [QUANTITIES[against](row) for row in rows], canvas.across)
    lowest, means, highest = (
        dots_along(axes[1], [max(getattr(row, name), SMALLEST_ERROR) for row in rows], canvas.down)
        for name in ("lowest", "test_error", "highest")
    )
    for x, low, high in zip(across, lowest, highest, strict=True):
        spread = np.arange(low, high + 0.5).tolist()
        canvas.figure.scatter([x] * len(spread), spread, marker=SPREAD)
    for x, y, row in zip(across, means, rows, strict=True):
        canvas.figure.scatter([x], [y], marker=marks[_marked(row, against)])


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


class HlResultScreen(ModalScreen[None]):
    """One chart at a time: a kind of student and an N, against H, L, H^L or parameters."""

    BINDINGS = [
        Binding("escape", "dismiss", "Close", id="hl.close"),
        Binding("h", "against('H')", "Against H", id="hl.heads"),
        Binding("l", "against('L')", "Against L", id="hl.layers"),
        Binding("p", "against('H^L')", "Against H^L", id="hl.power"),
        Binding("m", "against('parameters')", "Against parameters", id="hl.parameters"),
        Binding("n", "next", "Next student and N", id="hl.next"),
    ]

    def __init__(self, result: HlFinished) -> None:
        super().__init__()
        students = [finding.student for finding in result.findings]
        numbers = sorted({row.teacher_heads for row in result.table}, reverse=True)
        self._result = result
        self._views = list(product(students, numbers))
        self._shown = 0

    def compose(self) -> ComposeResult:
        """Lay out the chart above the sentence."""
        with Vertical(classes="dialog large") as dialog:
            dialog.border_title = "Does H^L = N explain the error?"
            yield HlChart(self._result, id="hl-chart")
            yield Static("", id="hl-sentence", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Begin with the first student at the largest N."""
        self._show()

    def action_against(self, quantity: Against) -> None:
        """Draw against another quantity."""
        self.query_one(HlChart).against = quantity

    def action_next(self) -> None:
        """Go to the next student or N."""
        self._shown = (self._shown + 1) % max(len(self._views), 1)
        self._show()

    def _show(self) -> None:
        if not self._views:
            self.query_one("#hl-sentence", Static).update("No student was trained to the end.")
            return
        student, teacher_heads = self._views[self._shown]
        chart = self.query_one(HlChart)
        chart.student, chart.teacher_heads = student, teacher_heads
        finding = next(finding for finding in self._result.findings if finding.student == student)
        self.query_one("#hl-sentence", Static).update(visible(finding.sentence, 1000))
