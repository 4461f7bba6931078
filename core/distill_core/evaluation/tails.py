"""What is left of a teacher when some of its heads are computed exactly, fitted in closed form. No torch.

p = (1 - share) near + share far: the near heads say `near` with the mass e^log_near, all others say `far`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distill_core.arrays import Matrix, Values
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.students.networks.routed_fields import Parts, blended

_STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of a ridge, beside the mean square of an input."""

_LEAST_SHARE = 1e-6
"""Through rounding a far field of a smaller share tells nothing; its weight in the fit is its square."""


class Labelled(NamedTuple):
    """Queries with what the teacher says of them, and with the parts of a student of it.

    Attributes:
        design: (n, k) inputs of the maps, (n, 0) for constants alone.
        targets: (n, d), the teacher's projections.
        log_mass: (n,), log of the sum over heads of e^s.
        parts: Near field, and the far one before the maps.
    """

    design: Matrix
    targets: Matrix
    log_mass: Matrix
    parts: Parts

    @property
    def log_rest(self) -> Values:
        """Log of (Z - Z near), floored where rounding leaves nothing, (n,)."""
        whole = self.log_mass.astype(np.float64)
        return whole + np.log(-np.expm1(-np.maximum(whole - self.parts.log_near, 1e-7)))

    @property
    def share(self) -> Values:
        """The far field's share of the whole mass, (n,)."""
        return np.exp(np.minimum(self.log_rest - self.log_mass, 0))

    def far_answers(self) -> Values:
        """Return what the far heads say, (n, d): the targets minus what the near ones give."""
        near = self.parts.near.astype(np.float64)
        return near + (self.targets - near) / np.maximum(self.share, _LEAST_SHARE)[:, None]


def fit_tail(train: Labelled, valid: Labelled) -> Values:
    """Return the maps (k + 1, d + 1) from an input and a one to what is far: what it says, its log mass.

    Both are ridges on labels of the teacher minus what the near heads return, beside the far field that there
    is. Each query weighs share squared, the square of the error that it makes in p; for the mass, how much
    its share moves with it. The strengths are those that are best on validation.
    """
    design, judged = _with_one(train.design), _with_one(valid.design)
    missing = (train.log_rest - train.parts.log_far)[:, None]
    slopes = _ridges(design, _mass_weight(train.share), missing)
    missed = [(judged @ slope)[:, 0] + valid.parts.log_far - valid.log_rest for slope in slopes]
    weight = _mass_weight(valid.share)
    slope = slopes[int(np.argmin([(weight * miss**2).sum() for miss in missed]))]

    maps = _ridges(design, train.share**2, train.far_answers() - train.parts.far)
    correction = (judged @ slope)[:, 0].astype(np.float32)
    cosines = [
        cosine_similarities(
            blended(valid.parts, (judged @ linear).astype(np.float32), correction), valid.targets
        ).mean()
        for linear in maps
    ]
    return np.hstack((maps[int(np.argmax(cosines))], slope))


def _mass_weight(share: Values) -> Values:
    """Return how much a query's share moves with the log of its far mass, and a little more than nothing."""
    return share * (1 - share) + 1e-4


def _with_one(queries: Matrix) -> Values:
    return np.hstack((queries, np.ones((len(queries), 1)))).astype(np.float64)


def _ridges(design: Values, weight: Values, wanted: Values) -> list[Values]:
    """Return the weighted ridge solutions (k + 1, m) of all strengths; the intercept is free."""
    weighted = design * weight[:, None]
    gram, cross = weighted.T @ design, weighted.T @ wanted
    penalty = np.full(len(gram), np.trace(gram[:-1, :-1]) / max(len(gram) - 1, 1) + 1e-30)
    penalty[-1] *= 1e-9
    return [np.asarray(np.linalg.solve(gram + np.diag(strength * penalty), cross)) for strength in _STRENGTHS]
