"""Figures of timed blocks: how sure they are, whether the machine was steady, who is beaten by nobody."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Ids, Values
from distill_core.evaluation.intervals import Estimate

Ends = tuple[float, float]
"""The ends of a 95 % interval, as files have them beside a figure."""

_DRAWS = 2000
_POINTS_A_BLOCK = 64
"""A block of more calls stands by so many of its quantiles, so that drawing blocks stays quick."""

UNSTEADY_SPREAD = 1.5
"""Blocks whose 90th percentile is this many times the 10th disagree."""


class TimeRatio(Estimate, frozen=True, rename={"value": "ratio"}):
    """A time over another one: an estimate that always has an interval. Files call its value `ratio`.

    Attributes:
        value: Median over the blocks of the paired ratio.
        low, high: Ends of the 95 % interval.
    """

    value: float
    low: float
    high: float


def ratio_interval(upper_us: ArrayLike, lower_us: ArrayLike, *, seed: int = 0) -> TimeRatio:
    """Return upper over lower from the medians (blocks,) of paired blocks.

    Blocks of one round run side by side, so that a slow moment of the machine is in both and cancels. The
    interval is a percentile bootstrap that resamples rounds. It holds the spread inside this measurement.

    Raises:
        ValueError: The blocks are not paired, or there are none.
    """
    upper, lower = np.asarray(upper_us, np.float64), np.asarray(lower_us, np.float64)
    if upper.shape != lower.shape or upper.ndim != 1 or len(upper) == 0:
        raise ValueError(f"Blocks {upper.shape} and {lower.shape} are not paired.")
    ratios: Values = upper / lower
    drawn = np.random.default_rng(seed).choice(ratios, size=(_DRAWS, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return TimeRatio(float(np.median(ratios)), float(low), float(high))


def percentile_interval(block_us: Sequence[Values], percent: float, *, seed: int = 0) -> Ends:
    """Return the 95 % interval of a percentile of all calls, from a bootstrap that resamples blocks.

    Args:
        block_us: Microseconds of the calls, an array a block; all of one length.
        percent: 50 for the median, 90 for the headline of the single-stream case.
        seed: Of the draws.
    """
    points = np.array([_thinned(block) for block in block_us])
    drawn = points[_drawn_blocks(len(points), seed)].reshape(_DRAWS, -1)
    return _ends(np.percentile(drawn, percent, axis=1))


def rate_interval(block_us: Sequence[Values], batch_size: int, *, seed: int = 0) -> Ends:
    """Return the 95 % interval of `queries_per_second` over blocks."""
    means = np.array([block.mean() for block in block_us])
    return _ends(1e6 * batch_size / means[_drawn_blocks(len(means), seed)].mean(axis=1))


def queries_per_second(block_us: Sequence[Values], batch_size: int) -> float:
    """Return all queries over all the time that they took, so that slow calls and blocks count."""
    return 1e6 * batch_size / float(np.concatenate(block_us).mean())


def _drawn_blocks(count: int, seed: int) -> Ids:
    return np.random.default_rng(seed).integers(count, size=(_DRAWS, count))


def _thinned(times: Values) -> Values:
    if len(times) <= _POINTS_A_BLOCK:
        return times
    return np.percentile(times, (np.arange(_POINTS_A_BLOCK) + 0.5) * 100 / _POINTS_A_BLOCK)


def _ends(values: Values) -> Ends:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def is_unsteady(block_medians_us: ArrayLike) -> bool:
    """Return whether the blocks of one contestant disagree: p90 above 1.5 times p10 of their medians."""
    low, high = np.percentile(np.asarray(block_medians_us, np.float64), [10, 90])
    return bool(high > UNSTEADY_SPREAD * low)


def count_outliers(times: Values) -> int:
    """Count the times outside p25 - 3 to p75 + 3 interquartile ranges (Tukey's severe outliers)."""
    lower, upper = np.percentile(times, [25, 75])
    reach = 3 * (upper - lower)
    return int(((times < lower - reach) | (times > upper + reach)).sum())


def pareto_best(costs: Sequence[tuple[float, ...]]) -> list[bool]:
    """Return of each whether no other one costs at most as much in everything and less in something."""
    return [not any(_dominates(other, mine) for other in costs) for mine in costs]


def _dominates(other: tuple[float, ...], mine: tuple[float, ...]) -> bool:
    return other != mine and all(theirs <= own for theirs, own in zip(other, mine, strict=True))
