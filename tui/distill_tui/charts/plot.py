"""The lines of a chart: what is to be shown of a history, how its lines look, and their dots in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from distill_tui.charts.axes import Axis
from distill_tui.charts.braille import (
    BLANK_BRAILLE,
    DOTS_ACROSS,
    DOTS_DOWN,
    SPACE,
    CellArray,
    IntArray,
    Picture,
    Role,
    Stroke,
    ThinnedLine,
    braille_cells,
    polyline_dots,
)
from distill_tui.charts.frame import Frame, round_to_cell
from distill_tui.charts.history import FloatArray, MetricHistory, Series, SeriesName, Smoothed

BoolArray = npt.NDArray[np.bool_]

FAR = 4
"""How many widths of the plot a point outside of it is taken to lie away at most."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A value that the curve is to be compared with, drawn as a line across."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Options:
    """Texts, scales, baselines and the character set of a chart."""

    title: str = ""
    x_label: str = ""
    x_total: float | None = None
    """Where the x axis ends; None doubles it as the data grow."""
    log_x: bool = False
    log_y: bool = False
    baselines: tuple[Baseline, ...] = ()
    ascii: bool = False
    """Whether to do without braille and line-drawing characters."""
    window: int = 1
    """Over about how many points the lines are smoothed; 1 leaves them as they are."""
    cursor: float | None = None
    """The position whose values the legend reads, in place of the last ones."""
    x_range: tuple[float, float] | None = None
    """The part of the x axis to show; the y axis then fits what is seen there."""
    best: Literal["", "low", "high"] = ""
    """Which value of a series is its best one, to be marked; none by default."""

    @property
    def shown_baselines(self) -> tuple[Baseline, ...]:
        """The baselines that the y axis can show."""
        return tuple(b for b in self.baselines if math.isfinite(b.value) and (b.value > 0 or not self.log_y))


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
FAINT_PEN = Pen(Role.FAINT, Stroke.DOTTED, "⠂⠂", ".")
BEST_MARKS = {False: "◆", True: "X"}
CURSOR_MARKS = {False: "┊", True: ":"}


class Plot:
    """Draws the lines of one history, and keeps what is thinned from one drawing to the next."""

    def __init__(self, history: MetricHistory) -> None:
        self._history = history
        self._smoothed: dict[SeriesName, Smoothed] = {}
        self._lines: dict[tuple[SeriesName, bool], ThinnedLine] = {}
        """By series, and whether it is the smoothed one."""
        self._thinned_for: tuple[object, ...] = ()

    def draw(self, picture: Picture, frame: Frame, x_axis: Axis, y_axis: Axis, options: Options) -> None:
        """Paint the baselines, the bands, the series over them, and the marks of the best and the cursor."""
        across = frame.width * DOTS_ACROSS
        for baseline in options.shown_baselines:
            ends = np.array([0, across - 1])
            values = np.full(2, baseline.value)
            _paint(picture, frame, _cells(frame, ends, y_axis, values, BASELINE_PEN), BASELINE_PEN, options)
        for low, high in self._history.bands.values():
            self._paint_band(picture, frame, (x_axis, y_axis), (low, high), options)
        self._thin(x_axis, across, y_axis, options)
        for (name, is_smooth), line in self._lines.items():
            pen = PENS[name] if is_smooth or options.window == 1 else FAINT_PEN
            _paint(picture, frame, _cells(frame, line.columns, y_axis, line.values, pen), pen, options)
        if options.best:
            self._mark_best(picture, frame, x_axis, y_axis, options)
        if options.cursor is not None:
            _draw_cursor(picture, frame, x_axis, options)

    def _thin(self, x_axis: Axis, across: int, y_axis: Axis, options: Options) -> None:
        """Bring the thinned lines up to date, from the start if the columns are new ones."""
        fixed = (self._history.generation, x_axis, across, y_axis.log, options.window)
        if fixed != self._thinned_for:
            self._thinned_for = fixed
            names = self._history.names
            self._smoothed = {name: Smoothed(options.window) for name in names} if options.window > 1 else {}
            layers = (False, True) if options.window > 1 else (False,)
            self._lines = {(name, layer): ThinnedLine() for layer in layers for name in names}
        for (name, is_smooth), line in self._lines.items():
            series = self._history[name]
            if is_smooth:
                series = self._smoothed[name].of(series)
            x, values = series.x[line.consumed :], series.y[line.consumed :]
            columns = _columns(x_axis, x, across)
            shown = (columns > -FAR * across) & ((values > 0) if y_axis.log else True)
            line.extend(columns, np.where(shown, values, np.nan))

    def _paint_band(
        self,
        picture: Picture,
        frame: Frame,
        axes: tuple[Axis, Axis],
        band: tuple[Series, Series],
        options: Options,
    ) -> None:
        """Fill the room between two series of the same positions with every other dot."""
        (x_axis, y_axis), (low, high) = axes, band
        if not low.count:
            return
        across = frame.width * DOTS_ACROSS
        columns = np.arange(across)
        at = _columns(x_axis, low.x, across)
        inside = (columns >= at[0]) & (columns <= at[-1])
        tops, bottoms = (
            np.interp(columns, at, row_dots(y_axis, series.y, frame.height)) for series in (high, low)
        )
        rows = np.arange(frame.height * DOTS_DOWN)[:, None]
        filled = inside & (rows >= np.round(tops)) & (rows <= np.round(bottoms)) & ((rows + columns) % 2 == 0)
        y, x = np.nonzero(filled)
        _paint(picture, frame, braille_cells(x, y, frame.width, frame.height), FAINT_PEN, options)

    def _mark_best(
        self, picture: Picture, frame: Frame, x_axis: Axis, y_axis: Axis, options: Options
    ) -> None:
        """Put a mark where each series is best; of training and validation only where validation is."""
        for name in self._history.names:
            best = None if name == "train" else best_point(self._history[name], options.best)
            if best is None:
                continue
            x = x_axis.fractions(np.array([best[0]]), clip=False)[0]
            y = y_axis.fractions(np.array([best[1]]))[0]
            if math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1:
                column = frame.left + round_to_cell(x, frame.width)
                row = frame.top + round_to_cell(1 - y, frame.height)
                picture.write(column, row, BEST_MARKS[options.ascii], PENS[name].role)


def best_point(series: Series, best: str) -> tuple[float, float] | None:
    """Return position and value of the best point, the first of equals; None without a finite value.

    Args:
        series: Where to look.
        best: "low" or "high".
    """
    finite = np.isfinite(series.y)
    if not finite.any():
        return None
    sign = -1.0 if best == "low" else 1.0
    index = int(np.argmax(np.where(finite, sign * series.y, -np.inf)))
    return float(series.x[index]), float(series.y[index])


def _columns(axis: Axis, x: FloatArray, across: int) -> IntArray:
    """Return the dot columns of positions; of one outside of the axis too, up to a few widths away."""
    fractions = np.nan_to_num(axis.fractions(x, clip=False), nan=-FAR, posinf=FAR, neginf=-FAR)
    inside = np.minimum(fractions * across, np.where(fractions <= 1, across - 1, np.inf))
    return np.clip(np.floor(inside), -FAR * across, FAR * across).astype(np.int64)


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


def _draw_cursor(picture: Picture, frame: Frame, x_axis: Axis, options: Options) -> None:
    """Draw a line down at the cursor, behind what is drawn there."""
    fraction = x_axis.fractions(np.array([options.cursor], dtype=np.float64), clip=False)[0]
    if not 0 <= fraction <= 1:
        return
    column = frame.left + round_to_cell(fraction, frame.width)
    for row in range(frame.top, frame.top + frame.height):
        if picture.glyphs[row, column] in (SPACE, BLANK_BRAILLE):
            picture.write(column, row, CURSOR_MARKS[options.ascii], Role.AXIS)
