"""From a history to a picture: axes that keep still, the plot, and the texts around it."""

from __future__ import annotations

import numpy as np

from distill_tui.charts.axes import Axis, step_axis, value_axis
from distill_tui.charts.frame import (
    ASCII,
    UNICODE,
    Frame,
    LineName,
    draw_names,
    draw_x_axis,
    draw_y_axis,
    fit_frame,
    plot_rows,
    round_to_cell,
)
from distill_tui.charts.history import Extent, MetricHistory
from distill_tui.charts.legend import Entry, fit_legend
from distill_tui.charts.numbers import share_number, short_number
from distill_tui.charts.options import Options
from distill_tui.charts.picture import Picture, Role, single_cells
from distill_tui.charts.plot import PENS, Plot
from distill_tui.charts.ticks import axis_ticks

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
