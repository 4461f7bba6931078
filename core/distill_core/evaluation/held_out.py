"""Which queries are held out, what counts as their truth, and which of them stand twice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, Values, chunks, mean_row, nearest_rows, unit_rows
from distill_core.database.records import Answer, Head, Progress, Question, untold
from distill_core.errors import VectorError
from distill_core.evaluation.retrieval import AnswerIndex

NEAR_DUPLICATE_COSINE = 0.98
"""Above this cosine two embedded questions differ by punctuation or a filler word (FACTS 4, issue 3)."""


def seen_in_training(queries: Matrix, train_queries: Matrix) -> NDArray[np.bool_]:
    """Return for each query (n, d) whether a training query (m, d) is a near-duplicate of it."""
    cosines = nearest_rows(unit_rows(queries), unit_rows(train_queries))[1]
    return cosines > NEAR_DUPLICATE_COSINE


def near_duplicate_pairs(queries: Matrix, progress: Progress = untold) -> NDArray[np.int64]:
    """Return the pairs (p, 2) of rows i < j of queries (n, d) that are near-duplicates, in order."""
    rows = unit_rows(queries)
    found = [np.empty((0, 2), np.int64)]
    for part in chunks(len(rows), len(rows)):
        progress("questions compared", part.start, len(rows))
        first, second = np.nonzero(rows[part] @ rows[part.start :].T > NEAR_DUPLICATE_COSINE)
        first += part.start
        second += part.start
        found.append(np.column_stack((first, second))[first < second])
    return np.concatenate(found)


def query_clusters(question_ids: Iterable[int], questions: Mapping[int, Question]) -> NDArray[np.int64]:
    """Return the cluster (n,) of each question: its first; one without gets a negative label of its own."""
    found = [questions[number].cluster_ids if number in questions else () for number in question_ids]
    labels = [min(clusters) if clusters else -1 - row for row, clusters in enumerate(found)]
    return np.array(labels, np.int64)


def question_heads(
    question_ids: Iterable[int], questions: Mapping[int, Question], heads: Sequence[Head]
) -> tuple[tuple[int, ...], ...]:
    """Return for each question the rows of the heads of its clusters, ascending; none if it has none."""
    rows: dict[int, list[int]] = {}
    for row, head in enumerate(heads):
        rows.setdefault(head.cluster_id, []).append(row)
    nowhere: list[int] = []
    return tuple(
        tuple(sorted(row for cluster in questions[number].cluster_ids for row in rows.get(cluster, nowhere)))
        if number in questions
        else ()
        for number in question_ids
    )


def true_answers(
    question_ids: Iterable[int], questions: Mapping[int, Question], answers: Mapping[int, Answer]
) -> tuple[frozenset[int], ...]:
    """Return for each question the ids of all answers of its clusters; empty if it has none."""
    of_cluster: dict[int, set[int]] = {}
    for answer in answers.values():
        for cluster in answer.cluster_ids:
            of_cluster.setdefault(cluster, set()).add(answer.id)
    nothing: set[int] = set()
    return tuple(
        frozenset().union(*(of_cluster.get(cluster, nothing) for cluster in questions[number].cluster_ids))
        if number in questions
        else frozenset()
        for number in question_ids
    )


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
        train_weights: (m,) how often each training query is asked; None: each counts once.
        weights: (n,) likewise of the test queries.

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
    train_weights: Values | None = None
    weights: Values | None = None

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
        return mean_row(self.train_targets, self.train_weights)

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
            train_weights=self.train_weights,
            weights=None if self.weights is None else self.weights[kept],
        )
