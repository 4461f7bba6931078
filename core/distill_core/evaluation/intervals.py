"""95 % intervals of means and ratios, from a bootstrap that resamples clusters of queries.

Queries of one cluster are paraphrases: they err together, so the clusters are the independent units. The
plain percentile bootstrap covers too seldom with few of them (75 to 90 % with 5 to 15 clusters in
`benchmarks/interval_coverage.py`). Three remedies together cover 92 % or more:

- bootstrap-t: what is resampled is the estimate divided by its own standard error;
- smooth cluster weights, Beta(1/2, 3/2), instead of counts, so that no draw loses its standard error
  (A. Owen, "Better bootstrap t confidence intervals for the mean", arXiv:2508.10083);
- losses, which are positive and skewed, are studentised as logarithms; and no interval is narrower than
  a jackknife over clusters with Student's t makes it. Its degrees of freedom are those of the effective
  number of clusters, (sum n)^2 / sum n^2: one that holds most queries is nearly all there is.

What resampling cannot show are misses that no cluster happens to have. So a share is never narrower than the
exact binomial interval (Clopper and Pearson, 1934) on the effective number of queries (Korn and Graubard,
"Confidence intervals for proportions with small expected number of positive counts", Survey Methodology,
1998), and a loss that is 0 in some clusters leaves room for as many others as that interval does.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

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
_FEWEST_DEGREES = 1.0
"""Of Student's t, which has no bounds to speak of below; nor is there less than one trial."""


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
        intervals: How many intervals are looked at together: each is then so much wider that all of them hold
            at once in 95 % of cases (Bonferroni).
        weights: (n,) > 0, how much each query counts in every figure; None: all alike.

    Attributes:
        num_queries: n.
        num_clusters: G, the distinct clusters.
        effective_clusters: (sum n)^2 / sum n^2 over the queries n of each, as they count: G if all are alike,
            else fewer.
        weights: As given.
    """

    def __init__(
        self,
        clusters: ArrayLike,
        *,
        draws: int = DRAWS,
        seed: int = 0,
        intervals: int = 1,
        weights: ArrayLike | None = None,
    ) -> None:
        labels, self._units = np.unique(np.asarray(clusters), return_inverse=True)
        self._tail = _TAIL / intervals
        self.num_queries = len(self._units)
        self.num_clusters = len(labels)
        self.weights = None if weights is None else np.asarray(weights, np.float64)
        counted = np.ones(self.num_queries) if self.weights is None else self.weights
        # So scaled, their sum is the number of queries that, counting alike, would tell as much (Kish).
        self._counted = counted * (effective_number(counted) / max(float(counted.sum()), 1e-300))
        self.effective_clusters = effective_number(np.bincount(self._units, self._counted))
        rng = np.random.default_rng(seed)
        if self.num_clusters > _MAX_UNITS:
            self._units = (rng.permutation(self.num_clusters) % _MAX_UNITS)[self._units]
        self._num_units = min(self.num_clusters, _MAX_UNITS)
        drawn = rng.beta(0.5, 1.5, size=(draws, self._num_units))
        self._weights = drawn / drawn.mean(axis=1, keepdims=True)

    def mean(self, values: ArrayLike) -> float:
        """Return the mean of values (n,) as the queries count; NaN if one of them is."""
        return float(np.average(np.asarray(values, np.float64), weights=self._counted))

    def ratio(self, numerators: ArrayLike, denominators: ArrayLike | None = None) -> Estimate:
        """Return sum(numerators) / sum(denominators), values (n,) of any sign; by default the mean."""
        return self._interval(numerators, denominators, logarithmic=False)

    def loss(self, losses: ArrayLike, scales: ArrayLike | None = None) -> Estimate:
        """Return sum(losses) / sum(scales), values (n,) that are never negative; without scales, the mean.

        Clusters without a loss leave open how many of them there are. If none has one, a loss is taken to be
        as large as its scale; without scales there is nothing to tell by, and the interval has no width.
        """
        estimate = self._interval(losses, scales, logarithmic=True)
        if estimate.value is None or estimate.high is None:
            return estimate
        above = self._sums(losses)
        below = self._sums(np.ones(len(self._units)) if scales is None else scales)
        counted = below > 0
        hit, units = int((above[counted] > _ROUNDING * below[counted]).sum()), int(counted.sum())
        if hit == units or (hit == 0 and scales is None):
            return estimate
        highest = binomial_interval(hit / units, effective_number(below[counted]), self._tail)[1]
        typical = estimate.value * units / hit if hit else 1.0
        return Estimate(estimate.value, estimate.low, max(estimate.high, highest * typical))

    def share(self, values: ArrayLike, counted: ArrayLike | None = None, *, answers: int = 1) -> Estimate:
        """Return the mean of values (n,) from 0 to 1, of those that are counted.

        Args:
            values: Shares of as many `answers` each; of one, hits and misses.
            counted: (n,) which take part; all by default.
            answers: What a value is a share of.
        """
        numbers = np.asarray(values, np.float64)
        mask = np.ones(len(numbers), np.bool_) if counted is None else np.asarray(counted, np.bool_)
        losses = np.where(mask, 1.0 - numbers, 0.0)
        estimate = self._interval(losses, mask, logarithmic=True).subtracted_from(1.0)
        if estimate.value is None or estimate.low is None:
            return estimate
        trials = self._effective_trials(losses, mask * answers, estimate.value)
        return Estimate(estimate.value, *binomial_interval(estimate.value, trials, self._tail))

    def _effective_trials(self, losses: Values, answers: NDArray[np.int64], share: float) -> float:
        """Return how many independent yes-or-no trials tell as much of a share as these queries do.

        As many as give the variance that there is between clusters, p (1 - p) / var, at most one an answer,
        and fewer for the variance being known from few clusters. A share of 0 or 1 shows none, and the
        clusters count.
        """
        from scipy.special import stdtrit

        asked = self._sums(answers)
        clusters, number = effective_number(asked), float(asked.sum())
        error = self._error(self._sums(losses), self._sums(answers > 0))
        if error <= _ROUNDING or not 0.0 < share < 1.0:
            return clusters
        trials = min(share * (1.0 - share) / error**2, number)
        known = stdtrit(max(number - 1.0, _FEWEST_DEGREES), 1.0 - self._tail)
        guessed = stdtrit(max(clusters - 1.0, _FEWEST_DEGREES), 1.0 - self._tail)
        return max(float(trials * (known / guessed) ** 2), _FEWEST_DEGREES)

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
        error = self._error(above, below)
        if error <= _ROUNDING * max(abs(value), float(np.abs(above).max()) / total):
            return Estimate(value, value, value)
        lowest, highest = self._quantiles(above, below, value, logarithmic=logarithmic)
        reach = _jackknife_reach(above, below, self._tail)
        lowest, highest = min(lowest * error, -reach), max(highest * error, reach)
        if logarithmic:
            steps = np.clip([-highest / value, -lowest / value], -_MAX_EXPONENT, _MAX_EXPONENT)
            low, high = value * np.exp(steps)
        else:
            low, high = value - highest, value - lowest
        return Estimate(value, float(low), float(high))

    def _error(self, above: Values, below: Values) -> float:
        return float(_drawn_ratios(np.ones((1, len(above))), above, below)[1][0])

    def _sums(self, values: ArrayLike) -> Values:
        counted = np.asarray(values, np.float64) * self._counted
        return np.bincount(self._units, counted, minlength=self._num_units).astype(np.float64)

    def _quantiles(
        self, above: Values, below: Values, value: float, *, logarithmic: bool
    ) -> tuple[float, float]:
        """Return the lower and the upper quantile of the studentised draws."""
        drawn, errors = _drawn_ratios(self._weights, above, below)
        if logarithmic:
            distances, errors = np.log(drawn / value), errors / drawn
        else:
            distances = drawn - value
        studentised = distances / np.maximum(errors, np.finfo(np.float64).tiny)
        low, high = np.quantile(studentised, [self._tail, 1.0 - self._tail])
        return float(low), float(high)


def effective_number(sizes: ArrayLike) -> float:
    """Return (sum n)^2 / sum n^2 of sizes n: how many of equal size are as uneven as these (Kish, 1965)."""
    numbers = np.asarray(sizes, np.float64)
    squares = float((numbers**2).sum())
    return float(numbers.sum()) ** 2 / squares if squares > 0 else 0.0


def binomial_interval(share: float, trials: float, tail: float = _TAIL) -> tuple[float, float]:
    """Return the exact interval of a share of trials, of which there may be a broken number."""
    from scipy.special import betaincinv

    hits, misses = share * trials, (1.0 - share) * trials
    low = float(betaincinv(hits, misses + 1.0, tail)) if hits > _ROUNDING else 0.0
    high = float(betaincinv(hits + 1.0, misses, 1.0 - tail)) if misses > _ROUNDING else 1.0
    return low, high


def _jackknife_reach(above: Values, below: Values, tail: float) -> float:
    """Return half the width of the jackknife's interval of a ratio, each unit left out once."""
    from scipy.special import stdtrit

    rest = below.sum() - below
    without = np.flatnonzero(rest > 0)
    left = (above.sum() - above[without]) / rest[without]
    units = len(above)
    error = math.sqrt((units - 1) / units * float(((left - left.mean()) ** 2).sum()))
    degrees = max(effective_number(below) - 1.0, _FEWEST_DEGREES)
    return error * float(stdtrit(degrees, 1.0 - tail))


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
