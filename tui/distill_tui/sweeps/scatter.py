"""The cells of a sweep by error and latency, with the simple baselines and the teacher among them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive

from distill_core.foreign_text import visible
from distill_core.sweeps.events import CellShown, SweepShown
from distill_core.sweeps.exporting import settings_words
from distill_core.wording import cosine_error
from distill_tui.charts.axes import Axis, log_axis, short_number
from distill_tui.charts.still_chart import SUBCELLS, Canvas, StillChart, canvas_between, dots_along

_CELL, _FRONT, _CHOSEN, _BASELINE, _TEACHER = "o", "*", "@", "·", "┊"
_LEAST_ERROR = 1e-7
_FEWEST_ROWS = 5


class FrontierChart(StillChart, can_focus=True):
    """1 - cosine against p90, both logarithmic; the cursor goes from cell to cell by latency."""

    BINDINGS = [
        Binding("left,h", "move(-1)", "Faster", show=False, id="front.left"),
        Binding("right,l", "move(1)", "Slower", show=False, id="front.right"),
        Binding("enter", "select", "Open run", id="front.open", tooltip="Show the cell's run on screen 3"),
    ]

    sweep: reactive[SweepShown | None] = reactive(None)
    number: reactive[int] = reactive(-1)
    """Of the cell under the cursor."""

    class Moved(Message):
        """Another cell is looked at."""

    class Selected(Message):
        """The run of the cell under the cursor is asked for."""

    @property
    def timed(self) -> list[CellShown]:
        """The cells that have an error and a latency, the fastest first."""
        cells = self.sweep.cells if self.sweep else ()
        return sorted((c for c in cells if c.cosine is not None and c.p90_us), key=lambda c: c.p90_us or 0.0)

    @property
    def chosen(self) -> CellShown | None:
        """The cell under the cursor, by default the one to take."""
        take = self.sweep.take if self.sweep else None
        wanted = self.number if self.number >= 0 or take is None else take.cell
        timed = self.timed
        return next((cell for cell in timed if cell.number == wanted), timed[0] if timed else None)

    def watch_number(self) -> None:
        """Tell that another cell is looked at."""
        self.post_message(self.Moved())

    def action_move(self, steps: int) -> None:
        """Go to the next slower cell, or the next quicker one."""
        timed, chosen = self.timed, self.chosen
        if chosen is not None:
            self.number = timed[min(max(timed.index(chosen) + steps, 0), len(timed) - 1)].number

    def action_select(self) -> None:
        """Ask for the run of the cell."""
        self.post_message(self.Selected())

    def draw(self, width: int, height: int) -> str | None:
        """Return the picture, or None without room or cells that were timed."""
        timed, sweep = self.timed, self.sweep
        if sweep is None or not timed:
            return None
        times = [cell.p90_us or 0.0 for cell in timed]
        teachers = [cell.lda_p90_us for cell in timed if cell.lda_p90_us]
        errors = [*map(_error, timed), *(max(error, _LEAST_ERROR) for error in sweep.baselines.values())]
        axes = log_axis(min(times + teachers), max(times + teachers)), log_axis(min(errors), max(errors))
        canvas = canvas_between(axes, (width, height), _FEWEST_ROWS)
        if canvas is None:
            return None
        for error in sweep.baselines.values():
            (row,) = dots_along(axes[1], [max(error, _LEAST_ERROR)], canvas.down)
            across = list(range(0, canvas.across, 2 * SUBCELLS))
            canvas.figure.scatter(across, [row] * len(across), marker=_BASELINE)
        if teachers:
            (column,) = dots_along(axes[0], [sum(teachers) / len(teachers)], canvas.across)
            canvas.figure.scatter([column] * canvas.down, list(range(canvas.down)), marker=_TEACHER)
        front = {point.cell for point in sweep.frontier}
        for mark, cells in (
            (_CELL, [cell for cell in timed if cell.number not in front]),
            (_FRONT, [cell for cell in timed if cell.number in front]),
            (_CHOSEN, [cell for cell in (self.chosen,) if cell is not None]),
        ):
            _mark(canvas, axes, cells, mark)
        return "\n".join(canvas.lines())

    def describe(self) -> str:
        """Return the frontier in words."""
        lines = [
            f"{cosine_error(_error(cell))}  {cell.p90_us or 0.0:,.1f} µs  {settings_words(cell)}"
            for cell in self.timed
        ]
        return visible("\n".join(lines)) or "no cell was timed yet"

    def note(self) -> str:
        """Return what the marks are."""
        if self.sweep is None or not self.timed:
            return ""
        rungs = [f"{name} {short_number(error, 2)}" for name, error in self.sweep.baselines.items()]
        lines = f"  {_BASELINE} {', '.join(rungs)}" if rungs else ""
        marks = f"{_FRONT} frontier  {_CELL} other cells  {_CHOSEN} cursor  {_TEACHER} LDA"
        return visible(f"1 - cosine (up) over p90 µs: {marks}{lines}")


def _error(cell: CellShown) -> float:
    return max(1.0 - (cell.cosine.mean if cell.cosine else 0.0), _LEAST_ERROR)


def _mark(canvas: Canvas, axes: tuple[Axis, Axis], cells: Sequence[CellShown], mark: str) -> None:
    if cells:
        across = dots_along(axes[0], [cell.p90_us or 0.0 for cell in cells], canvas.across)
        down = dots_along(axes[1], [_error(cell) for cell in cells], canvas.down)
        canvas.figure.scatter(across, down, marker=mark)
