"""The held-out queries that judge, with all that is known about them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, Values
from distill_core.errors import VectorError
from distill_core.evaluation.duplicates import seen_in_training
from distill_core.evaluation.retrieval import AnswerIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The test part, and the training part that it is compared with.

    Attributes:
        train_queries: (m, d).
        train_targets: (m, d), the teacher's projections; their mean is the constant.
        queries: (n, d), the test queries.
        targets: (n, d).
        clusters: (n,) the cluster of each test query; the first one of several, a label of its own if none.
        answers: All answers of the database; None if there are none to retrieve.
        true_answers: For each test query the ids of the answers of its clusters.
        cancelled: (n,) whether the target's direction is rounding; None where nobody looked.

    Raises:
        VectorError: The arrays do not fit together, or a teacher's projection is not a number.
    """

    train_queries: Matrix
    train_targets: Matrix
    queries: Matrix
    targets: Matrix
    clusters: Ids
    answers: AnswerIndex | None = None
    true_answers: Sequence[Collection[int]] = ()
    cancelled: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.queries), len(self.targets), len(self.clusters)}
        if self.answers is not None:
            lengths.add(len(self.true_answers))
        if not len(self.queries):
            raise VectorError("There is no test query to judge by.", "Make the test share larger.")
        if len(lengths) > 1:
            raise VectorError(f"Test queries, targets, clusters and answers number {sorted(lengths)}.")
        if not (np.isfinite(self.targets).all() and np.isfinite(self.train_targets).all()):
            raise VectorError("The teacher's projections hold NaN or infinite values.")

    @property
    def constant(self) -> Values:
        """The mean (d,) of the training targets."""
        mean: Values = np.asarray(self.train_targets, np.float64).mean(axis=0)
        return mean

    def near_duplicates(self) -> NDArray[np.bool_]:
        """Return for each test query (n,) whether a training query has a cosine above 0.98 to it."""
        return seen_in_training(self.queries, self.train_queries)

    def keeping(self, mask: NDArray[np.bool_]) -> HeldOut:
        """Return it with the test queries of a mask (n,) only.

        Raises:
            VectorError: The mask keeps none.
        """
        kept = np.flatnonzero(mask)
        return HeldOut(
            train_queries=self.train_queries,
            train_targets=self.train_targets,
            queries=self.queries[kept],
            targets=self.targets[kept],
            clusters=self.clusters[kept],
            answers=self.answers,
            true_answers=[self.true_answers[row] for row in kept.tolist()] if self.true_answers else (),
            cancelled=None if self.cancelled is None else self.cancelled[kept],
        )
