"""Ranking the answers of a database by their cosine to a projection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.arrays import Ids, Values, chunks
from distill_core.errors import VectorError
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate

TOP = 10
"""Answers kept of each ranking: agreement is asked at 1, 5 and 10."""

_DECIMALS = 9


@dataclass(frozen=True, slots=True)
class Ranking:
    """What n projections retrieve.

    Attributes:
        top: (n, min(10, m)) positions of the best answers in the index, best first; -1 where a projection is
            not a number.
        best_rank: (n,) rank of the best true answer, from 1; infinite where the projection is not a number,
            NaN where a query has no true answer in the index.
    """

    top: Ids
    best_rank: Values

    def agreement(self, other: Ranking, k: int) -> Values:
        """Return |top-k of one & top-k of the other| / k of each query (n,), k at most the answers kept."""
        mine, theirs = self.top[:, :k], other.top[:, :k]
        shared = (mine[:, :, None] == theirs[:, None, :]) & (mine >= 0)[:, :, None]
        found: Values = shared.any(axis=2).mean(axis=1)
        return found


class AnswerIndex:
    """The answers to retrieve from, in the order of their ids.

    Args:
        ids: (m,), distinct.
        vectors: (m, d), of any length but zero.

    Raises:
        VectorError: There are no answers, or not one vector an id.
    """

    def __init__(self, ids: ArrayLike, vectors: ArrayLike) -> None:
        numbers, rows = np.asarray(ids, np.int64), np.asarray(vectors, np.float64)
        if rows.ndim != 2 or len(rows) != len(numbers) or not len(rows):
            raise VectorError(f"{len(numbers)} answers and vectors of shape {rows.shape} make no index.")
        order = np.argsort(numbers, kind="stable")
        self.ids = numbers[order]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        self.directions: Values = (rows / np.maximum(lengths, 1e-300))[order]

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, true_answers: Sequence[Collection[int]]) -> Ids:
        """Return the positions (n, most answers of a query) of each query's answers, filled up with -1.

        Ids that are not in the index are left out.
        """
        places = {int(number): place for place, number in enumerate(self.ids)}
        found = [sorted(places[number] for number in set(ids) if number in places) for ids in true_answers]
        table = np.full((len(found), max([1, *map(len, found)])), -1, np.int64)
        for row, known in zip(table, found, strict=True):
            row[: len(known)] = known
        return table

    def rank(self, projections: ArrayLike, true_positions: Ids) -> Ranking:
        """Rank all answers for projections (n, d), whose true answers stand at `true_positions`."""
        rows = np.asarray(projections, np.float64)
        top = np.empty((len(rows), min(TOP, len(self))), np.int64)
        best_rank = np.empty(len(rows))
        for part in chunks(len(rows), len(self)):
            with np.errstate(all="ignore"):
                lengths = np.linalg.norm(rows[part], axis=1, keepdims=True)
                scores = (rows[part] @ self.directions.T) / np.maximum(lengths, 1e-300)
            ranking = rank_scores(scores, true_positions[part])
            top[part], best_rank[part] = ranking.top, ranking.best_rank
        return Ranking(top, best_rank)


def rank_scores(scores: Values, true_positions: Ids) -> Ranking:
    """Rank by cosines (n, m), the larger the better; equals by position, which is the order of the ids.

    Cosines are compared to nine decimals: the same answer twice must tie, and a matrix product may compute
    its two cosines in different orders.
    """
    rounded, broken = _rounded(scores)
    top = _best_positions(rounded, min(TOP, scores.shape[1]))
    top[broken] = -1
    return Ranking(top, _best_ranks(rounded, broken, true_positions))


def best_ranks(scores: Values, true_positions: Ids) -> Values:
    """Return the rank (n,) of each query's best true answer alone, as `rank_scores` has it."""
    return _best_ranks(*_rounded(scores), true_positions)


def _rounded(scores: Values) -> tuple[Values, NDArray[np.bool_]]:
    rounded = np.round(scores, _DECIMALS)
    broken = np.asarray(~np.isfinite(rounded).all(axis=1))
    rounded[broken] = 0.0
    return rounded, broken


def _best_positions(scores: Values, k: int) -> Ids:
    """Return the k best positions (n, k), best first, without sorting all of a row."""
    rows, columns = scores.shape
    worst = np.partition(scores, columns - k, axis=1)[:, columns - k, None]
    above, level = scores > worst, scores == worst
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (level & (np.cumsum(level, axis=1) <= room))
    positions = np.nonzero(chosen)[1].reshape(rows, k)
    order = np.argsort(-np.take_along_axis(scores, positions, axis=1), axis=1, kind="stable")
    return np.take_along_axis(positions, order, axis=1)


def _best_ranks(scores: Values, broken: NDArray[np.bool_], true_positions: Ids) -> Values:
    """Return 1 + how many answers stand before the best true one, (n,): infinite if broken, NaN if none."""
    true_scores = np.take_along_axis(scores, np.maximum(true_positions, 0), axis=1)
    true_scores[true_positions < 0] = -np.inf
    first = true_scores.argmax(axis=1)[:, None]  # positions ascend, so the first of equals has the lowest id
    score = np.take_along_axis(true_scores, first, axis=1)
    position = np.take_along_axis(true_positions, first, axis=1)
    before = np.arange(scores.shape[1]) < position
    ranks = 1.0 + ((scores > score) | ((scores == score) & before)).sum(axis=1)
    ranks[broken] = np.inf
    return np.where(position[:, 0] < 0, np.nan, ranks)


AGREEMENT_AT = (1, 5, 10)


class RetrievalScores(msgspec.Struct, frozen=True, kw_only=True):
    """How one contestant retrieves.

    Attributes:
        name: "teacher", "student", or a baseline's name.
        agreement_at_1: Mean share of its best answer that is the teacher's too; k is capped at the number of
            answers, here and below.
        agreement_at_5: Of its 5 best.
        agreement_at_10: Of its 10 best.
        recall_at_1: Share of queries whose best answer is a true one.
        recall_at_10: Share with a true one among the 10 best.
        mrr: Mean of 1 / rank of the best true answer.
    """

    name: str
    agreement_at_1: Estimate
    agreement_at_5: Estimate
    agreement_at_10: Estimate
    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr: Estimate

    def agreement(self, k: int) -> Estimate:
        """Return the agreement at 1, 5 or 10."""
        return {1: self.agreement_at_1, 5: self.agreement_at_5, 10: self.agreement_at_10}[k]


class RetrievalTable(msgspec.Struct, frozen=True, kw_only=True):
    """The contestants' retrieval over all answers of the database.

    Attributes:
        num_answers: m.
        num_judged: Queries that have a true answer, by which recall and MRR are counted.
        chance: Agreement of a random ranking at 1, 5 and 10: k / m, at most 1.
        scores: The teacher, the student, the baselines.
    """

    num_answers: int
    num_judged: int
    chance: tuple[float, float, float]
    scores: tuple[RetrievalScores, ...]

    def of(self, name: str) -> RetrievalScores | None:
        """Return one contestant's scores; None if it was not among them."""
        return next((scores for scores in self.scores if scores.name == name), None)

    @property
    def telling_k(self) -> int | None:
        """The largest of 10, 5 and 1 at which a random ranking agrees on half at most; None if none.

        Of 12 answers any two rankings share most of their 10 best: that says nothing.
        """
        telling = [k for k, chance in zip(AGREEMENT_AT, self.chance, strict=True) if chance <= 0.5]
        return max(telling, default=None)


def retrieval_scores(
    name: str, ranking: Ranking, teacher: Ranking, bootstrap: ClusterBootstrap
) -> RetrievalScores:
    """Score one contestant's ranking against the teacher's and against the true answers."""
    judged = ~np.isnan(ranking.best_rank)
    ranks = ranking.best_rank

    def agreement(k: int) -> Estimate:
        shares = 1.0 - ranking.agreement(teacher, k)
        return bootstrap.loss(shares).subtracted_from(1.0).clipped(0.0, 1.0)

    def mean_of_judged(values: Values) -> Estimate:
        return bootstrap.share(values, judged)

    with np.errstate(invalid="ignore"):
        return RetrievalScores(
            name=name,
            agreement_at_1=agreement(1),
            agreement_at_5=agreement(5),
            agreement_at_10=agreement(10),
            recall_at_1=mean_of_judged((ranks <= 1).astype(np.float64)),
            recall_at_10=mean_of_judged((ranks <= 10).astype(np.float64)),
            mrr=mean_of_judged(1.0 / ranks),
        )


def chance_levels(num_answers: int) -> tuple[float, float, float]:
    """Return k / m, at most 1, for agreement at 1, 5 and 10."""
    at_1, at_5, at_10 = (min(k / num_answers, 1.0) for k in AGREEMENT_AT)
    return at_1, at_5, at_10
