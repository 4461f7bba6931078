"""From a history to a picture: axes that keep still, the plot, and the texts around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from distill_tui.charts.axes import Axis, axis_ticks, share_number, short_number, step_axis, value_axis
from distill_tui.charts.braille import Picture, Role, single_cells
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
from distill_tui.charts.history import Extent, MetricHistory, Series
from distill_tui.charts.plot import BEST_MARKS, PENS, Options, Plot, best_point

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
        x_axis = self.x_axis(options)
        y_axis = self._fit_y_axis(y_extent, options)
        options = _only_what_the_axis_holds(options, y_axis)
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

    def x_axis(self, options: Options) -> Axis:
        """Return the axis of positions: all of them, or the part that is to be shown."""
        extent = self.history.bounds()[0]
        whole = step_axis(extent, options.x_total, log=options.log_x)
        if options.x_range is None:
            return whole
        low, high = options.x_range
        return Axis(max(low, whole.low) if options.log_x else low, high, log=options.log_x)

    def _fit_y_axis(self, extent: Extent, options: Options) -> Axis:
        """Return the last axis if it still fits; of a part of the positions always the tightest one."""
        if options.x_range is not None:
            return value_axis(None, self.history.extent_within(*options.x_range), log=options.log_y)
        shown = extent.merged(Extent())
        shown.add(np.array([baseline.value for baseline in options.shown_baselines], dtype=np.float64))
        self._y_axis = value_axis(self._y_axis, shown, log=options.log_y)
        return self._y_axis

    def _draw_legend(self, picture: Picture, options: Options, x: Extent, y: Extent) -> None:
        entries = [
            Entry(
                pen.ascii if options.ascii else pen.marker,
                name,
                short_number(value_at(series, options.cursor)),
                pen.role,
            )
            for name in self.history.names
            if (series := self.history[name]).count and (pen := PENS[name])
        ]
        column = 0
        notes = [*self._best_words(options), *_notes(options, x, y)]
        for text, role in fit_legend(_title(options), entries, notes, picture.width):
            picture.write(column, 0, text, role)
            column += len(text)

    def _best_words(self, options: Options) -> list[str]:
        """Say which validation value was the best so far, and where."""
        is_of_one = options.best and "validation" in self.history.names
        best = best_point(self.history["validation"], options.best) if is_of_one else None
        if best is None:
            return []
        return [f"{BEST_MARKS[options.ascii]} best {short_number(best[1])} @ {short_number(best[0])}"]


def value_at(series: Series, position: float | None) -> float:
    """Return the value of a series that is not empty at a position: of the last point up to there.

    Args:
        series: Which one.
        position: None for the end; before the first point the first one counts.
    """
    if position is None:
        return float(series.y[-1])
    return float(series.y[max(int(np.searchsorted(series.x, position, side="right")) - 1, 0)])


def _only_what_the_axis_holds(options: Options, axis: Axis) -> Options:
    """Leave out the baselines that lie off an axis which was fitted without them."""
    if options.x_range is None:
        return options
    held = tuple(b for b in options.shown_baselines if axis.low <= b.value <= axis.high)
    return replace(options, baselines=held)


def _title(options: Options) -> str:
    asides = ["log"] if options.log_y else []
    if options.window > 1:
        asides.append(f"mean of ~{options.window}")
    title = f"{single_cells(options.title)} ({', '.join(asides)})" if asides else single_cells(options.title)
    return title if options.cursor is None else f"{title} @ {short_number(options.cursor)}"


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
