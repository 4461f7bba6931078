"""From a history to a picture: axes that keep still, the plot, and the texts around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from distill_tui.charts.axes import Axis, axis_ticks, share_number, short_number, step_axis, value_axis
from distill_tui.charts.braille import (
    BLANK_BRAILLE,
    DOTS_ACROSS,
    DOTS_DOWN,
    CellArray,
    IntArray,
    Picture,
    Role,
    Stroke,
    ThinnedLine,
    braille_cells,
    polyline_dots,
    single_cells,
)
from distill_tui.charts.frame import (
    ASCII,
    UNICODE,
    Entry,
    Frame,
    LineName,
    draw_names,
    draw_x_axis,
    draw_y_axis,
    fit_frame,
    fit_legend,
    plot_rows,
    round_to_cell,
)
from distill_tui.charts.history import Extent, FloatArray, MetricHistory, SeriesName

CELLS_PER_Y_TICK = 3
NO_DATA = "no values yet"


class Figure:
    """Draws one history; keeps its axes and thinned lines from one drawing to the next."""

    def __init__(self, history: MetricHistory) -> None:
        self.history = history
        self._plot = Plot(history)
        self._y_axis: Axis | None = None

    def draw(self, width: int, height: int, options: Options) -> Picture:
        """Return the picture of everything in the history at this size, in cells."""
        picture = Picture(width, height)
        x_extent, y_extent = self.history.bounds()
        x_axis = step_axis(x_extent, options.x_total, log=options.log_x)
        y_axis = self._fit_y_axis(y_extent, options)
        y_ticks = axis_ticks(y_axis, plot_rows(height)[1] // CELLS_PER_Y_TICK + 1)
        names = _line_names(y_axis, plot_rows(height)[1], options)
        labels = [tick.label for tick in y_ticks]
        frame = fit_frame(width, height, labels, options.x_label, [name.text for name in names])
        if frame.width and frame.height:
            glyphs = ASCII if options.ascii else UNICODE
            self._plot.draw(picture, frame, x_axis, y_axis, options)
            draw_y_axis(picture, frame, y_ticks, glyphs)
            x_ticks = axis_ticks(x_axis, _x_tick_count(frame.width))
            draw_x_axis(picture, frame, x_ticks, options.x_label, glyphs)
            draw_names(picture, frame, names, glyphs)
        if y_extent.is_empty:
            _draw_centred(picture, frame, NO_DATA)
        self._draw_legend(picture, options, x_extent, y_extent)
        return picture

    def _fit_y_axis(self, extent: Extent, options: Options) -> Axis:
        shown = extent.merged(Extent())
        shown.add(np.array([baseline.value for baseline in options.shown_baselines], dtype=np.float64))
        self._y_axis = value_axis(self._y_axis, shown, log=options.log_y)
        return self._y_axis

    def _draw_legend(self, picture: Picture, options: Options, x: Extent, y: Extent) -> None:
        entries = [
            Entry(pen.ascii if options.ascii else pen.marker, name, short_number(series.y[-1]), pen.role)
            for name in self.history.names
            if (series := self.history[name]).count and (pen := PENS[name])
        ]
        column = 0
        for text, role in fit_legend(_title(options), entries, _notes(options, x, y), picture.width):
            picture.write(column, 0, text, role)
            column += len(text)


def _title(options: Options) -> str:
    return single_cells(options.title) + (" (log)" if options.log_y else "")


def _notes(options: Options, x: Extent, y: Extent) -> list[str]:
    """Say what the axes leave out: a value that is not drawn is counted, never moved."""
    hidden = (y.not_positive if options.log_y else 0) + (x.not_positive if options.log_x else 0)
    at_most = "<=" if options.ascii else "≤"
    notes = [f"{hidden} value{'s' if hidden > 1 else ''} {at_most} 0 not shown"] if hidden else []
    return [*notes, f"{y.not_finite} NaN or inf"] if y.not_finite else notes


def _x_tick_count(width: int) -> int:
    """Return how many labels fit below a plot without crowding it."""
    return 1 + max(1, min(width // 8, 4 + width // 40))


def _line_names(axis: Axis, height: int, options: Options) -> list[LineName]:
    """Return what is to stand beside each baseline, the highest first."""
    baselines = sorted(options.shown_baselines, key=lambda baseline: -baseline.value)
    fractions = axis.fractions(np.array([baseline.value for baseline in baselines], dtype=np.float64))
    return [
        LineName(
            round_to_cell(1 - fraction, max(height, 1)),
            single_cells(baseline.name),
            share_number(baseline.value),
        )
        for fraction, baseline in zip(fractions.tolist(), baselines, strict=True)
    ]


def _draw_centred(picture: Picture, frame: Frame, text: str) -> None:
    if len(text) <= frame.width:
        row, column = frame.top + frame.height // 2, frame.left + (frame.width - len(text)) // 2
        picture.write(column, row, text, Role.AXIS)


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

    @property
    def shown_baselines(self) -> tuple[Baseline, ...]:
        """The baselines that the y axis can show."""
        return tuple(b for b in self.baselines if math.isfinite(b.value) and (b.value > 0 or not self.log_y))


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
