"""95 % intervals of means and ratios, from a bootstrap that resamples clusters of queries.

Queries of one cluster are paraphrases: they err together, so the clusters are the independent units. The
plain percentile bootstrap covers too seldom with few of them (75 to 90 % with 5 to 15 clusters in
`benchmarks/interval_coverage.py`). Three remedies together cover 90 to 98 %:

- bootstrap-t: what is resampled is the estimate divided by its own standard error;
- smooth cluster weights, Beta(1/2, 3/2), instead of counts, so that no draw loses its standard error
  (A. Owen, "Better bootstrap t confidence intervals for the mean", arXiv:2508.10083);
- losses, which are positive and skewed, are studentised as logarithms; and no interval is narrower than
  Student's t with G - 1 degrees of freedom makes it.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Values

DRAWS = 2000
MIN_CLUSTERS = 2
"""With one cluster there is nothing to resample, and no interval."""

TRUSTED_CLUSTERS = 5
"""The fewest clusters for which the coverage is verified (`benchmarks/interval_coverage.py`)."""

_TAIL = 0.025
_MAX_UNITS = 1000
_ROUNDING = 1e-12
_MAX_EXPONENT = 50.0


class Estimate(msgspec.Struct, frozen=True):
    """A number with its 95 % interval.

    Attributes:
        value: None where it is not a number, or not defined.
        low: None, with `high`, where there is no interval: fewer than 2 clusters.
        high: As `low`.
    """

    value: float | None
    low: float | None = None
    high: float | None = None

    def subtracted_from(self, total: float) -> Estimate:
        """Return the estimate of `total - value`."""
        ends = (self.value, self.high, self.low)
        return Estimate(*(None if end is None else total - end for end in ends))

    def clipped(self, lowest: float, highest: float) -> Estimate:
        """Return it with the ends of the interval kept in the range that the number can have."""
        if self.low is None or self.high is None:
            return self
        return Estimate(self.value, max(self.low, lowest), min(self.high, highest))


class ClusterBootstrap:
    """Intervals over the same n queries, all from the same draws, so that they can be compared.

    More than 1,000 clusters are pooled at random into 1,000 units: what is a sample of independent clusters
    is one of independent pools.

    Args:
        clusters: (n,) the cluster of each query; any labels.
        draws: Bootstrap draws.
        seed: Of a generator of its own; no other random state is touched.

    Attributes:
        num_queries: n.
        num_clusters: G, the distinct clusters.
    """

    def __init__(self, clusters: ArrayLike, *, draws: int = DRAWS, seed: int = 0) -> None:
        labels, self._units = np.unique(np.asarray(clusters), return_inverse=True)
        self.num_queries = len(self._units)
        self.num_clusters = len(labels)
        rng = np.random.default_rng(seed)
        if self.num_clusters > _MAX_UNITS:
            self._units = (rng.permutation(self.num_clusters) % _MAX_UNITS)[self._units]
        self._num_units = min(self.num_clusters, _MAX_UNITS)
        weights = rng.beta(0.5, 1.5, size=(draws, self._num_units))
        self._weights = weights / weights.mean(axis=1, keepdims=True)

    def ratio(self, numerators: ArrayLike, denominators: ArrayLike | None = None) -> Estimate:
        """Return sum(numerators) / sum(denominators), values (n,) of any sign; by default the mean."""
        return self._interval(numerators, denominators, logarithmic=False)

    def loss(self, losses: ArrayLike, scales: ArrayLike | None = None) -> Estimate:
        """Return sum(losses) / sum(scales), values (n,) that are never negative; without scales, the mean."""
        return self._interval(losses, scales, logarithmic=True)

    def share(self, values: ArrayLike, counted: ArrayLike | None = None) -> Estimate:
        """Return the mean of values (n,) from 0 to 1, of those that are counted.

        If all are 1, or all 0, resampling shows no spread; then the exact bound of G successes in G trials
        stands in (Clopper and Pearson, 1934): 0.025^(1/G).
        """
        numbers = np.asarray(values, np.float64)
        mask = np.ones(len(numbers), np.bool_) if counted is None else np.asarray(counted, np.bool_)
        losses = np.where(mask, 1.0 - numbers, 0.0)
        estimate = self.loss(losses, mask).subtracted_from(1.0).clipped(0.0, 1.0)
        clusters = len(np.unique(self._units[mask]))
        if estimate.low is None or estimate.value not in (0.0, 1.0):
            return estimate
        bound = _TAIL ** (1.0 / clusters)
        return Estimate(1.0, bound, 1.0) if estimate.value else Estimate(0.0, 0.0, 1.0 - bound)

    def _interval(
        self, numerators: ArrayLike, denominators: ArrayLike | None, *, logarithmic: bool
    ) -> Estimate:
        above = self._sums(numerators)
        below = self._sums(np.ones(len(self._units)) if denominators is None else denominators)
        total = float(below.sum())
        if not (math.isfinite(total) and total > 0 and np.isfinite(above).all()):
            return Estimate(None)
        value = float(above.sum()) / total
        if self._num_units < MIN_CLUSTERS:
            return Estimate(value)
        error = float(_drawn_ratios(np.ones((1, len(above))), above, below)[1][0])
        if error <= _ROUNDING * max(abs(value), float(np.abs(above).max()) / total):
            return Estimate(value, value, value)
        lowest, highest = self._quantiles(above, below, value, logarithmic=logarithmic)
        if logarithmic:
            relative = error / value
            steps = np.clip([-highest * relative, -lowest * relative], -_MAX_EXPONENT, _MAX_EXPONENT)
            low, high = value * np.exp(steps)
        else:
            low, high = value - highest * error, value - lowest * error
        return Estimate(value, float(low), float(high))

    def _sums(self, values: ArrayLike) -> Values:
        weights = np.asarray(values, np.float64)
        return np.bincount(self._units, weights, minlength=self._num_units).astype(np.float64)

    def _quantiles(
        self, above: Values, below: Values, value: float, *, logarithmic: bool
    ) -> tuple[float, float]:
        """Return the 2.5 % and 97.5 % quantiles of the studentised draws, not nearer to 0 than Student's."""
        from scipy.special import stdtrit

        drawn, errors = _drawn_ratios(self._weights, above, below)
        if logarithmic:
            distances, errors = np.log(drawn / value), errors / drawn
        else:
            distances = drawn - value
        studentised = distances / np.maximum(errors, np.finfo(np.float64).tiny)
        low, high = np.quantile(studentised, [_TAIL, 1.0 - _TAIL])
        student = float(stdtrit(self._num_units - 1, 1.0 - _TAIL))
        return min(float(low), -student), max(float(high), student)


def _drawn_ratios(weights: Values, above: Values, below: Values) -> tuple[Values, Values]:
    """Return the weighted ratio of each draw (draws,) and its linearised standard error, units independent.

    The error of a ratio R is sqrt(G / (G - 1) * sum(w (A - R B)^2)) / sum(w B). To lose no digits, A - R B is
    taken about the unweighted ratio and corrected by each draw's distance from it.
    """
    units = len(above)
    centre = above.sum() / below.sum()
    residuals = above - centre * below
    columns = np.column_stack((above, below, residuals, residuals**2, residuals * below, below**2))
    sums, totals, first, squares, products, scales = (weights @ columns).T
    shifts = first / totals
    spread = np.maximum(squares - 2.0 * shifts * products + shifts**2 * scales, 0.0)
    return sums / totals, np.sqrt(spread * units / (units - 1)) / totals
