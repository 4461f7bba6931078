"""The inside of a chart: lines and baselines as braille or ASCII cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_tui.charts.axes import Axis
from distill_tui.charts.braille import (
    BLANK_BRAILLE,
    DOTS_ACROSS,
    DOTS_DOWN,
    CellArray,
    Stroke,
    braille_cells,
    polyline_dots,
)
from distill_tui.charts.frame import Frame
from distill_tui.charts.history import FloatArray, MetricHistory, SeriesName
from distill_tui.charts.options import Options
from distill_tui.charts.picture import Picture, Role
from distill_tui.charts.thinning import IntArray, ThinnedLine

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pen:
    """How a line is told from the others: by its stroke or character, and by the style of its role."""

    role: Role
    stroke: Stroke
    marker: str
    ascii: str


PENS: dict[SeriesName, Pen] = {
    "train": Pen(Role.TRAIN, Stroke.SOLID, "⠒⠒", "*"),
    "validation": Pen(Role.VALIDATION, Stroke.DOTTED, "⠂⠂", "o"),
    "1": Pen(Role.RUN_1, Stroke.SOLID, "⠒⠒", "1"),
    "2": Pen(Role.RUN_2, Stroke.DOTTED, "⠂⠂", "2"),
    "3": Pen(Role.RUN_3, Stroke.SPARSE, "⠂ ⠂", "3"),
    "4": Pen(Role.RUN_4, Stroke.SOLID, "⠒⠒", "4"),
    "5": Pen(Role.RUN_5, Stroke.DOTTED, "⠂⠂", "5"),
    "6": Pen(Role.RUN_6, Stroke.SPARSE, "⠂ ⠂", "6"),
}
LOWEST_SERIES_ROLE = min(pen.role for pen in PENS.values())
BASELINE_PEN = Pen(Role.BASELINE, Stroke.SPARSE, "⠂ ⠂", "-")


class Plot:
    """Draws the lines of one history, and keeps what is thinned from one drawing to the next."""

    def __init__(self, history: MetricHistory) -> None:
        self._history = history
        self._lines: dict[SeriesName, ThinnedLine] = {}
        self._thinned_for: tuple[object, ...] = ()

    def draw(self, picture: Picture, frame: Frame, x_axis: Axis, y_axis: Axis, options: Options) -> None:
        """Paint the baselines, and the series over them."""
        across = frame.width * DOTS_ACROSS
        for baseline in options.shown_baselines:
            ends = np.array([0, across - 1])
            values = np.full(2, baseline.value)
            _paint(picture, frame, _cells(frame, ends, y_axis, values, BASELINE_PEN), BASELINE_PEN, options)
        self._thin(x_axis, across, log_y=y_axis.log)
        for name, line in self._lines.items():
            pen = PENS[name]
            _paint(picture, frame, _cells(frame, line.columns, y_axis, line.values, pen), pen, options)

    def _thin(self, x_axis: Axis, across: int, *, log_y: bool) -> None:
        """Bring the thinned lines up to date, from the start if the columns are new ones."""
        fixed = (self._history.generation, x_axis, across, log_y)
        if fixed != self._thinned_for:
            self._thinned_for = fixed
            self._lines = {name: ThinnedLine() for name in self._history.names}
        for name, line in self._lines.items():
            series = self._history[name]
            fractions = x_axis.fractions(series.x[line.consumed :])
            values = series.y[line.consumed :]
            shown = np.isfinite(fractions) & ((values > 0) if log_y else True)
            columns = np.minimum(np.where(shown, fractions, 0.0) * across, across - 1).astype(np.int64)
            line.extend(columns, np.where(shown, values, np.nan))


def row_dots(axis: Axis, values: FloatArray, height: int) -> FloatArray:
    """Return the dot rows of `values` from the top of a plot that is `height` cells high; NaN is a gap."""
    return np.round((1.0 - axis.fractions(values)) * (height * DOTS_DOWN - 1))


def _cells(frame: Frame, columns: IntArray, axis: Axis, values: FloatArray, pen: Pen) -> CellArray:
    rows = row_dots(axis, values, frame.height)
    return braille_cells(*polyline_dots(columns, rows, pen.stroke), frame.width, frame.height)


def _paint(picture: Picture, frame: Frame, cells: CellArray, pen: Pen, options: Options) -> None:
    """Put the cells that are lit into the picture, over what is there."""
    area = (slice(frame.top, frame.top + frame.height), slice(frame.left, frame.left + frame.width))
    glyphs = np.uint32(ord(pen.ascii)) if options.ascii else cells + np.uint32(BLANK_BRAILLE)
    lit = (cells != 0) & ~_kept_below(picture.roles[area], cells != 0)
    np.copyto(picture.glyphs[area], glyphs, where=lit)
    np.copyto(picture.roles[area], np.uint8(pen.role), where=lit)


def _kept_below(roles: CellArray, lit: BoolArray) -> BoolArray:
    """Return the cells that a new line leaves to a series below it, so that both are seen where they meet.

    Where the new line would cover all of a column, they take turns; elsewhere the new one lies on top.
    """
    below: BoolArray = roles >= LOWEST_SERIES_ROLE
    vanishes = below.any(axis=0) & ~(below & ~lit).any(axis=0)
    turn: BoolArray = np.indices(lit.shape).sum(axis=0) % 2 == 0
    return turn & below & lit & vanishes
