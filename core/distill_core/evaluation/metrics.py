"""How near a student's projections are to the teacher's. NumPy only."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray


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
    """

    n: int
    cosine: CosineSummary
    mse: float


def evaluate(predicted: ArrayLike, target: ArrayLike) -> Evaluation:
    """Compare projections (n, d) with the teacher's (n, d)."""
    guess, truth = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    cosines = cosine_similarities(guess, truth)
    return Evaluation(
        n=len(cosines),
        cosine=CosineSummary(
            mean=float(cosines.mean()),
            sd=float(cosines.std()),
            min=float(cosines.min()),
            p5=float(np.percentile(cosines, 5)),
            max=float(cosines.max()),
        ),
        mse=float(np.square(guess - truth).mean()),
    )


def cosine_similarities(predicted: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows (n,); a row that is all zero has cosine 0."""
    guess, truth = np.asarray(predicted, np.float64), np.asarray(target, np.float64)
    lengths = np.linalg.norm(guess, axis=-1) * np.linalg.norm(truth, axis=-1)
    products = np.einsum("...i,...i->...", guess, truth)
    cosines: NDArray[np.float64] = np.divide(
        products, lengths, out=np.zeros_like(products), where=lengths != 0
    )
    return cosines
