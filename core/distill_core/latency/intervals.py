"""How sure a ratio of times is, and whether the machine was steady enough to ask."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

_DRAWS = 2000
UNSTEADY_SPREAD = 1.5
"""Blocks whose 90th percentile is this many times the 10th disagree."""


class RatioInterval(msgspec.Struct, frozen=True):
    """A ratio of times with its 95 % interval.

    Attributes:
        ratio: Median over the blocks of the paired ratio.
        low, high: Ends of the interval.
    """

    ratio: float
    low: float
    high: float


def ratio_interval(upper_us: ArrayLike, lower_us: ArrayLike, *, seed: int = 0) -> RatioInterval:
    """Return upper over lower from the medians (blocks,) of paired blocks.

    Blocks of one round run side by side, so that a slow moment of the machine is in both and cancels. The
    interval is a percentile bootstrap that resamples rounds. It holds the spread inside this measurement.

    Raises:
        ValueError: The blocks are not paired, or there are none.
    """
    upper, lower = np.asarray(upper_us, np.float64), np.asarray(lower_us, np.float64)
    if upper.shape != lower.shape or upper.ndim != 1 or len(upper) == 0:
        raise ValueError(f"Blocks {upper.shape} and {lower.shape} are not paired.")
    ratios: NDArray[np.float64] = upper / lower
    drawn = np.random.default_rng(seed).choice(ratios, size=(_DRAWS, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return RatioInterval(float(np.median(ratios)), float(low), float(high))


def is_unsteady(block_medians_us: ArrayLike) -> bool:
    """Return whether the blocks of one contestant disagree: p90 above 1.5 times p10 of their medians."""
    low, high = np.percentile(np.asarray(block_medians_us, np.float64), [10, 90])
    return bool(high > UNSTEADY_SPREAD * low)
