"""The points of a live chart. A history belongs to the thread of the user interface."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
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


class Smoothed:
    """A growing series as its exponential mean, which starts without a bias towards 0 (as Adam's means do).

    Args:
        window: Over about how many points: each weighs 1 - 1 / window of the one after it.
    """

    def __init__(self, window: int) -> None:
        self._decay = 1 - 1 / window
        self._sum = self._weight = 0.0
        self._points = Series()

    def of(self, series: Series) -> Series:
        """Return the smoothed series, with what has come since the last time; NaN stays a gap."""
        new_y = series.y[self._points.count :].tolist()
        if new_y:
            new_x = series.x[self._points.count :]
            self._points.extend(new_x, np.array([self._next(value) for value in new_y]))
        return self._points

    def _next(self, value: float) -> float:
        if not math.isfinite(value):
            return math.nan
        self._sum = self._decay * self._sum + (1 - self._decay) * value
        self._weight = self._decay * self._weight + (1 - self._decay)
        return self._sum / self._weight


class MetricHistory:
    """The values of one metric, append-only: training and validation, or those of several runs.

    Attributes:
        names: Of the series.
        bands: Between which values several runs lie, of which a series is the mean.
    """

    def __init__(self, names: tuple[SeriesName, ...] = SERIES_NAMES) -> None:
        self.names = names
        self.revision = 0
        """Grows with every change, so that a chart knows when there is nothing to do."""
        self.generation = 0
        """Grows when points are taken away, so that a chart knows when to start over."""
        self.bands: dict[SeriesName, tuple[Series, Series]] = {}
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

    def set_band(self, name: SeriesName, x: Numbers, low: Numbers, high: Numbers) -> None:
        """Say between which values the runs lie whose mean a series is, at increasing positions."""
        band = (Series(), Series())
        for series, values in zip(band, (low, high), strict=True):
            series.extend(np.asarray(x, dtype=np.float64), np.asarray(values, dtype=np.float64))
        self.bands[name] = band
        self.revision += 1

    def clear(self) -> None:
        """Forget every point."""
        self._series = {name: Series() for name in self.names}
        self.bands.clear()
        self.revision += 1
        self.generation += 1

    def bounds(self) -> tuple[Extent, Extent]:
        """Return the extents of x and of y over all series and bands."""
        x, y = Extent(), Extent()
        for series in self._all():
            x, y = x.merged(series.x_extent), y.merged(series.y_extent)
        return x, y

    def extent_within(self, low: float, high: float) -> Extent:
        """Return the extent of y where x is from `low` to `high`."""
        extent = Extent()
        for series in self._all():
            extent.add(series.y[(series.x >= low) & (series.x <= high)])
        return extent

    def positions(self) -> FloatArray:
        """Return every x at which there is a point, ascending."""
        return np.unique(np.concatenate([series.x for series in self._series.values()]))

    def _all(self) -> Iterator[Series]:
        yield from self._series.values()
        for band in self.bands.values():
            yield from band
