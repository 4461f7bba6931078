"""How near a student's projections are to the teacher's. NumPy only."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.architecture import Cost
from distill_core.arrays import Values
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate

PERFECT_LOSS = 1e-12
"""A mean of 1 - cosine below this is rounding: float32 rounding moves a direction by some 1e-7, which makes
1 - cosine some 1e-14. A constant that is as good leaves nothing to learn, and a skill is not defined."""


class CosineSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The cosines of n queries in five numbers; `sd` is the population's, as in the published figures."""

    mean: float
    sd: float
    min: float
    p5: float
    max: float


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A student against its teacher on n held-out queries.

    Attributes:
        n: Queries evaluated.
        cosine: Of student's and teacher's projection, per query.
        mse: Mean over queries and dimensions.
        relative_norm: Mean length of the student's projections over that of the teacher's, which the cosine
            does not see. None if the teacher's are all zero.
        r2: 1 - SSE / SST, over all dimensions at once, SST about the constant; None without a constant, or if
            the constant is perfect.
        skill: See `skill_of`; None likewise.
    """

    n: int
    cosine: CosineSummary
    mse: float
    relative_norm: float | None = None
    r2: float | None = None
    skill: float | None = None


def evaluate(
    predicted: ArrayLike,
    target: ArrayLike,
    constant: ArrayLike | None = None,
    weights: Values | None = None,
) -> Evaluation:
    """Compare projections (n, d) with the teacher's (n, d).

    Args:
        predicted: (n, d).
        target: (n, d).
        constant: The mean (d,) of the training targets, which R2 and skill compare with.
        weights: (n,) how much each query counts in every mean; None: all alike.
    """
    guess, truth = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    cosines = cosine_similarities(guess, truth)

    def mean(values: Values) -> float:
        return float(np.average(values, weights=weights))

    length, error = mean(np.linalg.norm(truth, axis=-1)), mean(squared_errors(guess, truth))
    r2 = skill = None
    if constant is not None:
        flat = np.broadcast_to(np.asarray(constant, np.float64), truth.shape)
        spread = mean(squared_errors(flat, truth))
        r2 = 1.0 - error / spread if spread > 0 else None
        skill = skill_of(cosine_losses(cosines), cosine_losses(cosine_similarities(flat, truth)), weights)
    return Evaluation(
        n=len(truth),
        cosine=summarise(cosines, weights),
        mse=error,
        relative_norm=mean(np.linalg.norm(guess, axis=-1)) / length if length > 0 else None,
        r2=r2,
        skill=skill,
    )


def summarise(cosines: Values, weights: Values | None = None) -> CosineSummary:
    """Return mean, standard deviation, extremes and 5th percentile of cosines (n,), as they count (n,)."""
    mean = float(np.average(cosines, weights=weights))
    low = (
        np.percentile(cosines, 5)
        if weights is None
        else np.percentile(cosines, 5, weights=weights, method="inverted_cdf")
    )
    return CosineSummary(
        mean=mean,
        sd=math.sqrt(float(np.average(np.square(cosines - mean), weights=weights))),
        min=float(cosines.min()),
        p5=float(low),
        max=float(cosines.max()),
    )


def cosine_similarities(predicted: ArrayLike, target: ArrayLike) -> Values:
    """Return the cosine of each pair of rows (n,): 0 if one is all zero, NaN if one holds NaN."""
    guess, truth = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    lengths = np.linalg.norm(guess, axis=-1) * np.linalg.norm(truth, axis=-1)
    products = np.einsum("...i,...i->...", guess, truth)
    cosines: Values = np.divide(products, lengths, out=np.zeros_like(products), where=lengths != 0)
    return cosines


def cosine_losses(cosines: Values) -> Values:
    """Return 1 - cosine (n,), never below 0 by rounding; NaN stays NaN."""
    return np.maximum(1.0 - cosines, 0.0)


def squared_errors(predicted: Values, target: Values) -> Values:
    """Return the mean over d of the squared difference of each pair of rows (n,)."""
    errors: Values = np.square(predicted - target).mean(axis=-1)
    return errors


def skill_of(losses: Values, constant_losses: Values, weights: Values | None = None) -> float | None:
    """Return `1 - (1 - cos) / (1 - cos_mean_output)` from losses 1 - cos (n,) of student and constant.

    The means are of queries as they count (n,).

    1 is perfect, 0 is as good as a constant, below 0 is worse. If the constant is perfect there is nothing
    to learn and nothing to divide by: None.
    """
    mean, scale = (float(np.average(values, weights=weights)) for values in (losses, constant_losses))
    return 1.0 - mean / scale if scale > PERFECT_LOSS else None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A student or a baseline against the teacher on the test queries.

    Smallest, largest, 5th percentile and sd of the cosines have no interval: a bootstrap of an extreme never
    goes beyond the sample.

    Attributes:
        name: "student", or the baseline's.
        label: In words.
        cost: To run it.
        broken: Queries whose projection is not a number; if there are any, no metric is defined.
        cosine: The cosines in five numbers; None if broken.
        mean_cosine: Their mean with its interval.
        skill: 1 - (1 - cos) / (1 - cos of the constant); its value is None where the constant is perfect.
        mse: Mean over queries and dimensions.
        relative_norm: Mean length of the projections over that of the teacher's.
        r2: 1 - SSE / SST about the constant.
        cosine_difference: The student's mean cosine minus this one's, paired by query; None for the student.
        skill_difference: The student's skill minus this one's, likewise.
    """

    name: str
    label: str
    cost: Cost
    broken: int
    cosine: CosineSummary | None
    mean_cosine: Estimate
    skill: Estimate
    mse: Estimate
    relative_norm: Estimate
    r2: Estimate
    cosine_difference: Estimate | None = None
    skill_difference: Estimate | None = None


class Scorer:
    """Scores contestants on the same queries with the same bootstrap draws.

    Args:
        targets: (n, d), the teacher's projections.
        constant: (d,), the mean of the training targets.
        bootstrap: Over the n queries.
    """

    def __init__(self, targets: ArrayLike, constant: ArrayLike, bootstrap: ClusterBootstrap) -> None:
        self._targets = np.asarray(targets, np.float64)
        self._lengths = np.linalg.norm(self._targets, axis=1)
        flat = np.broadcast_to(np.asarray(constant, np.float64), self._targets.shape)
        self._spread = squared_errors(flat, self._targets)
        self._constant_losses = cosine_losses(cosine_similarities(flat, self._targets))
        self._bootstrap = bootstrap
        self._learnable = bootstrap.mean(self._constant_losses) > PERFECT_LOSS

    @property
    def constant_cosine(self) -> float:
        """Mean cosine of the constant."""
        return 1.0 - self._bootstrap.mean(self._constant_losses)

    def cosines(self, projections: ArrayLike) -> Values:
        """Return the cosines (n,) to the teacher, NaN where a projection (n, d) is not a number."""
        with np.errstate(all="ignore"):
            return cosine_similarities(projections, self._targets)

    def farther_than_constant(self, cosines: Values) -> NDArray[np.bool_]:
        """Return for which queries (n,) a contestant of these cosines is farther off than the constant."""
        farther: NDArray[np.bool_] = cosine_losses(cosines) > self._constant_losses + PERFECT_LOSS
        return farther

    def score(
        self,
        name: str,
        label: str,
        cost: Cost,
        projections: ArrayLike,
        student_cosines: Values | None = None,
    ) -> Score:
        """Score projections (n, d); with the student's cosines (n,), also the paired differences to it."""
        rows = np.asarray(projections, np.float64)
        cosines = self.cosines(rows)
        broken = int((~np.isfinite(cosines)).sum())
        losses = cosine_losses(cosines)
        bootstrap = self._bootstrap
        with np.errstate(all="ignore"):
            errors = squared_errors(rows, self._targets)
            lengths = np.linalg.norm(rows, axis=1)
        difference = skill_difference = None
        if student_cosines is not None:
            gain = losses - cosine_losses(student_cosines)
            difference, skill_difference = bootstrap.ratio(gain), self._over_constant(gain)
        return Score(
            name=name,
            label=label,
            cost=cost,
            broken=broken,
            cosine=None if broken else summarise(cosines, bootstrap.weights),
            mean_cosine=bootstrap.loss(losses).subtracted_from(1.0).clipped(-1.0, 1.0),
            skill=self._skill(losses),
            mse=bootstrap.loss(errors),
            relative_norm=bootstrap.loss(lengths, self._lengths),
            r2=bootstrap.loss(errors, self._spread).subtracted_from(1.0),
            cosine_difference=difference,
            skill_difference=skill_difference,
        )

    def _skill(self, losses: Values) -> Estimate:
        if not self._learnable:
            return Estimate(None)
        return self._bootstrap.loss(losses, self._constant_losses).subtracted_from(1.0)

    def _over_constant(self, gain: Values) -> Estimate:
        return self._bootstrap.ratio(gain, self._constant_losses) if self._learnable else Estimate(None)
