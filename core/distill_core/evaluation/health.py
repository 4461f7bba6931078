"""Is the teacher worth distilling? Seen before any training, at any temperature."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.arrays import Matrix, unit_rows
from distill_core.config import check_temperature
from distill_core.evaluation.held_out import near_duplicate_pairs
from distill_core.evaluation.intervals import TRUSTED_CLUSTERS
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.evaluation.retrieval import AnswerIndex, rank_scores
from distill_core.teacher import MultiHeadLDA, answers_cancel, effective_heads

PASSING_COSINE = 0.99
"""The published validation passes a student whose mean cosine is above 0.99 (FACTS 4). Where a constant
passes it too, that test says nothing. It judges the teacher here, never a student."""

FEWEST_TEST_QUERIES = 20
"""Below 20 values the 5th percentile is the minimum, and one query moves Recall@1 by more than 0.05."""

WRONG_MORE_OFTEN = 0.5
"""A teacher with Recall@1 below this is wrong more often than right, and a perfect student copies that."""


_MAX_KEPT = 1 << 25
"""Products of queries and heads, or of heads and answers, that are kept for another temperature."""

_MAX_AT_ONCE = 1 << 22
"""Weights of queries on heads, and products with answers, held at once."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Median, 5th and 95th percentile over queries."""

    median: float
    p5: float
    p95: float


class TeacherHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher does with its own queries at one temperature.

    Attributes:
        temperature: tau.
        num_heads: N.
        num_queries: n.
        effective_heads: exp(entropy) of the routing weights: 1 is hard, N blends all heads alike.
        output_variance: Mean over dimensions of the outputs' variance; it is the MSE of a constant.
        constant_cosine: Mean cosine of the mean output to the outputs: what a constant would score.
        unused_heads: Rows of the heads that no query prefers, ascending. They do not depend on tau.
        near_duplicates: Pairs of queries with a cosine above 0.98; `HealthProbe.near_duplicates` names them.
        recall_at_1: Share of queries whose best answer is a true one; None without true answers.
        mrr: Mean of 1 / rank of the best true answer, likewise.
        cancelled: Queries for which the answers cancel: their outputs have no direction but rounding's.
        num_judged: Queries with a true answer, over which Recall@1 and MRR are taken.
        warnings: Plain sentences; empty if all is well.
    """

    temperature: float
    num_heads: int
    num_queries: int
    effective_heads: Spread
    output_variance: float
    constant_cosine: float
    unused_heads: tuple[int, ...]
    near_duplicates: int
    recall_at_1: float | None
    mrr: float | None
    cancelled: int = 0
    num_judged: int = 0
    warnings: tuple[str, ...]


class HealthProbe:
    """A teacher's queries, prepared so that another temperature costs milliseconds.

    Args:
        teacher: Its heads are used; its own temperature is only the default of `at`.
        queries: (n, d), n >= 1.
        answers: All answers of the database, for Recall@1 and MRR.
        true_answers: For each query the ids of its clusters' answers.

    Attributes:
        near_duplicates: (p, 2) rows i < j of queries whose cosine is above 0.98.
        unused_heads: Rows of the heads that are no query's nearest.
    """

    def __init__(
        self,
        teacher: MultiHeadLDA,
        queries: ArrayLike,
        answers: AnswerIndex | None = None,
        true_answers: Sequence[Collection[int]] = (),
    ) -> None:
        self._rows = rows = unit_rows(queries)
        self._teacher = teacher
        self._answers = answers
        self._centroids = unit_rows(teacher.centroids)
        self._kept: Matrix | None = None
        if len(rows) * teacher.num_heads <= _MAX_KEPT:
            self._kept = rows @ self._centroids.T
        self._answer_lengths = np.linalg.norm(teacher.answers, axis=1)
        self.near_duplicates: NDArray[np.int64] = near_duplicate_pairs(rows)
        preferred = np.zeros(teacher.num_heads, dtype=bool)
        for part in self._parts():
            preferred[self._cosines(part).argmax(axis=1)] = True
        self.unused_heads: tuple[int, ...] = tuple(np.flatnonzero(~preferred).tolist())
        self._truth = answers.positions(true_answers) if answers is not None and true_answers else None
        self._head_scores: NDArray[np.floating] | None = None
        if answers is not None and teacher.num_heads * len(answers.directions) <= _MAX_KEPT:
            self._head_scores = teacher.answers @ answers.directions.T

    def at(
        self,
        temperature: float | None = None,
        *,
        test_queries: int | None = None,
        test_clusters: int | None = None,
    ) -> TeacherHealth:
        """Return the health at a temperature, by default the teacher's own.

        Args:
            temperature: tau > 0.
            test_queries: Size of the test part, if the split is known, to warn when it is too small.
            test_clusters: Its clusters, likewise.
        """
        tau = self._teacher.temperature if temperature is None else check_temperature(temperature)
        outputs = np.empty((len(self._rows), self._teacher.dimension))
        cancelled = 0
        blended, ranks = np.empty(len(self._rows)), np.full(len(self._rows), np.nan)
        for part in self._parts():
            weights = self._weights(part, tau)
            outputs[part] = weights @ self._teacher.answers
            blended[part] = effective_heads(weights)
            ranks[part] = self._ranks(part, weights, outputs[part])
            cancelled += int(answers_cancel(weights, outputs[part], self._answer_lengths).sum())
        mean = outputs.mean(axis=0)
        heads = np.percentile(blended, (50, 5, 95)).tolist()
        judged = ranks[~np.isnan(ranks)]
        recall, mrr = _recall_and_mrr(judged)
        constant = float(cosine_similarities(np.broadcast_to(mean, outputs.shape), outputs).mean())
        return TeacherHealth(
            temperature=tau,
            num_heads=self._teacher.num_heads,
            num_queries=len(outputs),
            effective_heads=Spread(median=heads[0], p5=heads[1], p95=heads[2]),
            output_variance=float(np.square(outputs - mean).mean()),
            constant_cosine=constant,
            unused_heads=self.unused_heads,
            near_duplicates=len(self.near_duplicates),
            recall_at_1=recall,
            mrr=mrr,
            cancelled=cancelled,
            num_judged=len(judged),
            warnings=(
                *_cancelling_warnings(cancelled, len(outputs)),
                *_teacher_warnings(constant, heads[0], self._teacher.num_heads, recall),
                *_size_warnings(test_queries, test_clusters),
            ),
        )

    def _parts(self) -> Iterator[slice]:
        """Yield the rows a few at a time, so that memory does not grow with queries times heads."""
        widest = max(self._teacher.num_heads, 1 if self._answers is None else len(self._answers.directions))
        step = max(1, _MAX_AT_ONCE // widest)
        for start in range(0, len(self._rows), step):
            yield slice(start, start + step)

    def _cosines(self, part: slice) -> Matrix:
        return self._rows[part] @ self._centroids.T if self._kept is None else self._kept[part]

    def _weights(self, part: slice, temperature: float) -> Matrix:
        scores: Matrix = self._cosines(part) / np.float32(temperature)
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores

    def _ranks(
        self, part: slice, weights: Matrix, outputs: NDArray[np.float64]
    ) -> NDArray[np.float64] | float:
        """Return the rank of each query's best true answer; NaN where there is none.

        The outputs' products with the answers come from those of the heads, where these are kept.
        """
        if self._answers is None or self._truth is None:
            return np.nan
        lengths = np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-300)
        products: NDArray[np.floating]
        if self._head_scores is None:
            products = outputs @ self._answers.directions.T
        else:
            products = weights @ self._head_scores
        return rank_scores(products / lengths, self._truth[part]).best_rank


def _recall_and_mrr(ranks: NDArray[np.float64]) -> tuple[float, float] | tuple[None, None]:
    return (float((ranks == 1).mean()), float((1.0 / ranks).mean())) if len(ranks) else (None, None)


def _teacher_warnings(constant: float, heads: float, num_heads: int, recall: float | None) -> tuple[str, ...]:
    warnings = []
    if constant > PASSING_COSINE:
        warnings.append(
            f"The teacher is nearly constant: one fixed vector would score a mean cosine of {constant:.4f}, "
            f"and half of the queries blend {heads:.1f} or more of {num_heads} heads. A lower temperature "
            "lets the heads differ."
        )
    if recall is not None and recall < WRONG_MORE_OFTEN:
        warnings.append(
            f"The teacher itself puts a true answer first for {recall:.0%} of its queries only; "
            "a student cannot do better than copy it."
        )
    return tuple(warnings)


def _cancelling_warnings(cancelled: int, num_queries: int) -> tuple[str, ...]:
    if not cancelled:
        return ()
    return (
        f"The answers of the heads cancel for {cancelled} of {num_queries} queries: what is left has next "
        "to no length, and its direction is rounding. A student cannot learn it; a lower temperature, or "
        "other answers, would give it one.",
    )


def _size_warnings(queries: int | None, clusters: int | None) -> tuple[str, ...]:
    few_queries = queries is not None and queries < FEWEST_TEST_QUERIES
    few_clusters = clusters is not None and clusters < TRUSTED_CLUSTERS
    if not (few_queries or few_clusters):
        return ()
    size = [] if queries is None else [f"{queries} queries"]
    size += [] if clusters is None else [f"{clusters} clusters"]
    return (
        f"The test part, {' of '.join(size)}, is too small to tell much: take {FEWEST_TEST_QUERIES} queries "
        f"of {TRUSTED_CLUSTERS} clusters or more.",
    )
