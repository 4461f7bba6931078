"""Ridge regression from queries to projections, its strength chosen on validation queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Matrix, Values, mean_row
from distill_core.evaluation.metrics import cosine_similarities

STRENGTHS = np.logspace(-8, 3, 45)
"""Strengths tried, in units of the mean eigenvalue: from almost none to almost a constant."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """`p = q B + b`.

    Attributes:
        matrix: B, (d_in, d_out).
        intercept: b, (d_out,).
        strength: The chosen one, in the units of `STRENGTHS`.
    """

    matrix: Matrix
    intercept: Matrix
    strength: float

    def predict(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d_out) of queries (n, d_in)."""
        projections: Matrix = queries @ self.matrix + self.intercept
        return projections


def fit_ridge(
    queries: ArrayLike,
    targets: ArrayLike,
    validation_queries: ArrayLike,
    validation_targets: ArrayLike,
    weights: Values | None = None,
) -> Ridge:
    """Fit on queries (n, d_in) and targets (n, d_out); the strength is that of the best validation cosine.

    One eigendecomposition X'X = V diag(e) V' of the centred queries serves every strength a:
    B = V diag(1 / (e + a)) V' X'Y (Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning",
    3.4.1). The intercept is not penalised. Of equal cosines the stronger penalty is taken. With weights (n,)
    squared errors count as often as queries are asked.
    """
    rows, labels = np.asarray(queries, np.float64), np.asarray(targets, np.float64)
    middle, mean_label = mean_row(rows, weights), mean_row(labels, weights)
    centred, offsets = rows - middle, labels - mean_label
    counted = centred if weights is None else centred * (weights / weights.mean())[:, None]
    scales, axes = np.linalg.eigh(counted.T @ centred)
    scales = np.maximum(scales, 0.0)
    fitted = axes.T @ (counted.T @ offsets)
    seen = (np.asarray(validation_queries, np.float64) - middle) @ axes
    unit = float(scales.mean()) or 1.0

    def shrunk(strength: float) -> Values:
        coefficients: Values = fitted / (scales + strength * unit)[:, None]
        return coefficients

    def cosine(strength: float) -> float:
        predicted = seen @ shrunk(strength) + mean_label
        return float(cosine_similarities(predicted, validation_targets).mean())

    strength = float(max(STRENGTHS[::-1], key=cosine))
    matrix = axes @ shrunk(strength)
    intercept = mean_label - middle @ matrix
    return Ridge(matrix.astype(np.float32), intercept.astype(np.float32), strength)
