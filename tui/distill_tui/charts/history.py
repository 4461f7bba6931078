"""The points of a live chart. A history belongs to the thread of the user interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Numbers = Sequence[float] | FloatArray

OfOneRun = Literal["train", "validation"]
OfManyRuns = Literal["1", "2", "3", "4", "5", "6"]
SeriesName = OfOneRun | OfManyRuns
"""The series that a chart knows how to draw, in the order of drawing: the last one lies on top."""

SERIES_NAMES: tuple[SeriesName, ...] = get_args(OfOneRun)
RUN_NAMES: tuple[SeriesName, ...] = get_args(OfManyRuns)
"""The curves of several runs in one chart, by number."""

FIRST_CAPACITY = 1024


@dataclass(slots=True)
class Extent:
    """The bounds of the finite values seen so far, and how many values an axis cannot show."""

    low: float = float("inf")
    high: float = float("-inf")
    low_positive: float = float("inf")
    """The smallest value above zero, where a logarithmic axis starts."""
    not_positive: int = 0
    not_finite: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether no finite value was seen."""
        return self.low > self.high

    def add(self, values: FloatArray) -> None:
        """Widen the bounds to hold `values`; NaN and infinities are only counted."""
        finite = values[np.isfinite(values)]
        self.not_finite += values.size - finite.size
        if not finite.size:
            return
        self.low = min(self.low, float(finite.min()))
        self.high = max(self.high, float(finite.max()))
        positive = finite[finite > 0]
        self.not_positive += finite.size - positive.size
        if positive.size:
            self.low_positive = min(self.low_positive, float(positive.min()))

    def merged(self, other: Extent) -> Extent:
        """Return the extent of both."""
        return Extent(
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.low_positive, other.low_positive),
            self.not_positive + other.not_positive,
            self.not_finite + other.not_finite,
        )


class Series:
    """Points (x, y) in growing buffers; y may be NaN, which is drawn as a gap."""

    __slots__ = ("_points", "count", "x_extent", "y_extent")

    def __init__(self) -> None:
        self._points = np.empty((2, FIRST_CAPACITY))
        self.count = 0
        self.x_extent = Extent()
        self.y_extent = Extent()

    @property
    def x(self) -> FloatArray:
        """The positions, shape (count,): a view, valid until the next point comes."""
        return self._points[0, : self.count]

    @property
    def y(self) -> FloatArray:
        """The values, shape (count,): a view, valid until the next point comes."""
        return self._points[1, : self.count]

    def extend(self, x: FloatArray, y: FloatArray) -> None:
        """Append points; the buffers double when they are full."""
        end = self.count + x.size
        if end > self._points.shape[1]:
            grown = np.empty((2, max(end, 2 * self._points.shape[1])))
            grown[:, : self.count] = self._points[:, : self.count]
            self._points = grown
        self._points[0, self.count : end] = x
        self._points[1, self.count : end] = y
        self.count = end
        self.x_extent.add(x)
        self.y_extent.add(y)


class MetricHistory:
    """The values of one metric, append-only: training and validation, or those of several runs.

    Attributes:
        names: Of the series.
    """

    def __init__(self, names: tuple[SeriesName, ...] = SERIES_NAMES) -> None:
        self.names = names
        self.revision = 0
        """Grows with every change, so that a chart knows when there is nothing to do."""
        self.generation = 0
        """Grows when points are taken away, so that a chart knows when to start over."""
        self._series: dict[SeriesName, Series] = {name: Series() for name in names}

    def __getitem__(self, name: SeriesName) -> Series:
        return self._series[name]

    def append(self, name: SeriesName, x: float, y: float) -> None:
        """Append one point; `x` must not decrease within a series."""
        self.extend(name, (x,), (y,))

    def extend(self, name: SeriesName, x: Numbers, y: Numbers) -> None:
        """Append points; `x` must not decrease within a series.

        Raises:
            ValueError: If `x` and `y` differ in length.
        """
        new_x, new_y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
        if new_x.shape != new_y.shape:
            raise ValueError(f"{new_x.size} positions for {new_y.size} values")
        if new_x.size:
            self._series[name].extend(new_x, new_y)
            self.revision += 1

    def clear(self) -> None:
        """Forget every point."""
        self._series = {name: Series() for name in self.names}
        self.revision += 1
        self.generation += 1

    def bounds(self) -> tuple[Extent, Extent]:
        """Return the extents of x and of y over all series."""
        x, y = Extent(), Extent()
        for series in self._series.values():
            x, y = x.merged(series.x_extent), y.merged(series.y_extent)
        return x, y
