"""Ranking the answers of a database by their cosine to a projection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Ids, Values
from distill_core.errors import VectorError
from distill_core.evaluation.directions import chunks

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
    rounded = np.round(scores, _DECIMALS)
    broken = ~np.isfinite(rounded).all(axis=1)
    rounded[broken] = 0.0
    top = _best_positions(rounded, min(TOP, scores.shape[1]))
    ranks = _best_ranks(rounded, true_positions)
    top[broken] = -1
    ranks[broken & ~np.isnan(ranks)] = np.inf
    return Ranking(top, ranks)


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


def _best_ranks(scores: Values, true_positions: Ids) -> Values:
    """Return 1 + how many answers stand before the best true one, (n,); NaN without a true one."""
    true_scores = np.take_along_axis(scores, np.maximum(true_positions, 0), axis=1)
    true_scores[true_positions < 0] = -np.inf
    first = true_scores.argmax(axis=1)[:, None]  # positions ascend, so the first of equals has the lowest id
    score = np.take_along_axis(true_scores, first, axis=1)
    position = np.take_along_axis(true_positions, first, axis=1)
    before = np.arange(scores.shape[1]) < position
    ranks = 1.0 + ((scores > score) | ((scores == score) & before)).sum(axis=1)
    return np.where(position[:, 0] < 0, np.nan, ranks)
