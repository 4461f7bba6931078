"""What charts that stand still share: plotext draws them, once a size and once a change of data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget
from textual_plotext import Plot

from distill_tui.charts.axes import Axis, Tick, axis_ticks
from distill_tui.charts.braille import single_cells

SUBCELLS = 2
"""Columns and rows that plotext's marker of quarter blocks has in a cell."""
FRAME_ROWS = 3
"""The frame above and below a canvas, and the labels below."""
FEWEST_COLUMNS, FEWEST_ROWS = 10, 1
"""A canvas smaller than this says nothing."""
CELLS_PER_X_TICK, ROWS_PER_Y_TICK = 12, 3
TO_ASCII = str.maketrans("│─┌┐└┘┤├┬┴┼" + "▖▗▘▙▚▛▜▝▞▟█▌▐▀▄" + "…░▒·", "|-+++++++++" + "#" * 15 + ".:%.")


class StillChart(Widget):
    """A titled chart drawn by plotext, in the colours of the theme. Subclasses draw and describe."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"still-chart--title", "still-chart--note", "still-chart--bar"}
    DEFAULT_CSS = """
    StillChart {
        width: 1fr;
        height: 1fr;
        color: $text-muted;
        & > .still-chart--title { color: $foreground; text-style: bold; }
        & > .still-chart--note { color: $text-muted; }
        & > .still-chart--bar { color: $text-primary; }
    }
    """

    title: reactive[str] = reactive("")
    ascii: reactive[bool] = reactive(False)

    def draw(self, width: int, height: int) -> str | None:
        """Return the picture at this size in cells, or None if there is no room or nothing to draw."""
        raise NotImplementedError

    def describe(self) -> str:
        """Return in words what the picture would show."""
        raise NotImplementedError

    def note(self) -> str:
        """Return what the picture leaves out, for the title row."""
        return ""

    def render(self) -> Text:
        """Draw at the present size; Textual keeps the result until the next refresh."""
        width, height = self.size
        title = self._title_row()
        picture = self.draw(width, height - (1 if title else 0))
        rows = [Text(row) for row in (self.describe() if picture is None else picture).split("\n")]
        if title:
            rows.insert(0, title)
        for row in rows:
            row.truncate(width, overflow="ellipsis")
        text = Text("\n").join(rows)
        text.highlight_regex("[▀-▟]+", self.get_visual_style("still-chart--bar").rich_style)
        return Text(text.plain.translate(TO_ASCII), spans=text.spans) if self.ascii else text

    def _title_row(self) -> Text:
        title = Text(single_cells(self.title), self.get_visual_style("still-chart--title").rich_style)
        if note := self.note():
            title.append(
                f"  {note}" if title else note, self.get_visual_style("still-chart--note").rich_style
            )
        return title


class Canvas:
    """A plotext figure whose dots are addressed by quarter cells, so that no bar falls between two rows."""

    def __init__(self, columns: int, rows: int, gutter: int) -> None:
        self.columns, self.rows = columns, rows
        self.across, self.down = columns * SUBCELLS, rows * SUBCELLS
        self.figure = Plot()
        self.figure.theme("clear")
        # plotext would cut the figure to the terminal; its public switch knows only its global figure.
        self.figure._limit_size(False, False)  # type: ignore[attr-defined]
        self.figure.plotsize(columns + gutter + 2, rows + FRAME_ROWS)
        self.figure.xlim(0, self.across - 1)
        self.figure.ylim(0, self.down - 1)

    def x_ticks(self, ticks: Sequence[Tick]) -> None:
        """Label the lower frame."""
        positions = [tick.fraction * (self.across - 1) for tick in ticks]
        self.figure.xticks(positions, [tick.label for tick in ticks])

    def y_ticks(self, ticks: Sequence[Tick]) -> None:
        """Label the left frame."""
        positions = [tick.fraction * (self.down - 1) for tick in ticks]
        self.figure.yticks(positions, [tick.label for tick in ticks])

    def label_rows(self, rows: Sequence[int], labels: Sequence[str]) -> None:
        """Label rows of cells, counted from the top, on the left frame."""
        highest = max(self.rows - 1, 1)
        self.y_ticks([Tick(1 - row / highest, label) for row, label in zip(rows, labels, strict=True)])

    def lines(self) -> list[str]:
        """Return the rows, frame and labels included, without plotext's escape sequences."""
        return str(self.figure.uncolorize(self.figure.build())).rstrip("\n").split("\n")


def canvas_between(
    axes: tuple[Axis, Axis], size: tuple[int, int], fewest_rows: int, *, only_whole: bool = False
) -> Canvas | None:
    """Return a canvas with the ticks of both axes, x and y; None where it has not enough columns or rows.

    Args:
        axes: x and y.
        size: Of the picture in cells, width and height.
        fewest_rows: What the canvas needs to say anything.
        only_whole: Whether x has ticks at whole numbers only.
    """
    rows = size[1] - FRAME_ROWS
    y_ticks = axis_ticks(axes[1], rows // ROWS_PER_Y_TICK + 1)
    gutter = max(len(tick.label) for tick in y_ticks)
    columns = size[0] - gutter - 2
    if rows < fewest_rows or columns < FEWEST_COLUMNS:
        return None
    canvas = Canvas(columns, rows, gutter)
    canvas.y_ticks([Tick(tick.fraction, tick.label.rjust(gutter)) for tick in y_ticks])
    x_ticks = axis_ticks(axes[0], max(1, columns // CELLS_PER_X_TICK) + 1)
    canvas.x_ticks([tick for tick in x_ticks if not (only_whole and "." in tick.label)])
    return canvas


def dots_along(axis: Axis, values: Sequence[float], count: int) -> list[float]:
    """Return where values lie among so many dots."""
    fractions = axis.fractions(np.array(values, dtype=np.float64))
    return [float(fraction) * (count - 1) for fraction in fractions]
