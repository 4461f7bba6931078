"""One contestant's projections in numbers, each with its interval."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from distill_core.architecture import Cost
from distill_core.arrays import Values
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate
from distill_core.evaluation.metrics import (
    PERFECT_LOSS,
    CosineSummary,
    cosine_losses,
    cosine_similarities,
    squared_errors,
    summarise,
)


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
        self._learnable = float(self._constant_losses.mean()) > PERFECT_LOSS
        self._bootstrap = bootstrap

    @property
    def constant_cosine(self) -> float:
        """Mean cosine of the constant."""
        return 1.0 - float(self._constant_losses.mean())

    def cosines(self, projections: ArrayLike) -> Values:
        """Return the cosines (n,) to the teacher, NaN where a projection (n, d) is not a number."""
        with np.errstate(all="ignore"):
            return cosine_similarities(projections, self._targets)

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
            cosine=None if broken else summarise(cosines),
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
