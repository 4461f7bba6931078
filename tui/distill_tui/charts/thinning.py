"""Thinning: at most a few points a column, none of them moved, no extreme lost."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distill_tui.charts.history import FloatArray

IntArray = npt.NDArray[np.int64]

MAX_POINTS_PER_COLUMN = 4
"""First, lowest, highest and last."""


def thin(columns: IntArray, values: FloatArray) -> IntArray:
    """Return the indices of the points that a drawing in columns cannot do without.

    Of every run of points in one column these stay: the first and the last (where the line enters and
    leaves, or where a gap does), the lowest and the highest. A line through them lights the same dots as a
    line through all points (the M4 aggregation of Jugel et al., 2014). A gap inside of one column is
    narrower than a dot and is dropped.

    Args:
        columns: The column of each point, shape (n,), not decreasing.
        values: The values, shape (n,); anything not finite is a gap.
    """
    if not columns.size:
        return np.empty(0, dtype=np.int64)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(columns)) + 1))
    ends = np.concatenate((starts[1:], [columns.size])) - 1
    keep = np.zeros(columns.size, dtype=np.bool_)
    keep[starts] = keep[ends] = True
    finite = np.isfinite(values)
    run = np.repeat(np.arange(starts.size), ends - starts + 1)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), starts)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), starts)
    _keep_first(keep, run, finite & (values == low[run]))
    _keep_first(keep, run, finite & (values == high[run]))
    return np.flatnonzero(keep)


def _keep_first(keep: npt.NDArray[np.bool_], run: IntArray, candidates: npt.NDArray[np.bool_]) -> None:
    """Mark the first candidate of every run in `keep`."""
    chosen = np.flatnonzero(candidates)
    if chosen.size:
        keep[chosen[np.concatenate(([True], np.diff(run[chosen]) != 0))]] = True


def _start_of_last_run(columns: IntArray) -> int:
    """Return the index where the newest column begins."""
    changes = np.flatnonzero(np.diff(columns))
    return int(changes[-1]) + 1 if changes.size else 0


class ThinnedLine:
    """The thinned points of one growing series in fixed columns.

    Columns that are behind the newest one are settled: they are thinned once, and what is drawn there
    never changes. Only the points since the newest column began are thinned again.
    """

    def __init__(self) -> None:
        self.columns: IntArray = np.empty(0, dtype=np.int64)
        self.values: FloatArray = np.empty(0)
        self.consumed = 0
        """How many points of the series are behind the newest column."""
        self._settled = 0

    def extend(self, columns: IntArray, values: FloatArray) -> None:
        """Take the points of the series from number `consumed` to its end."""
        if not columns.size:
            return
        kept = thin(columns, values)
        self.columns = np.concatenate((self.columns[: self._settled], columns[kept]))
        self.values = np.concatenate((self.values[: self._settled], values[kept]))
        self.consumed += _start_of_last_run(columns)
        self._settled = _start_of_last_run(self.columns)
