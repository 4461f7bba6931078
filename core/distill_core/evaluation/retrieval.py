"""Ranking the answers of a database by their cosine to a projection."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.arrays import Ids, Matrix, Values, chunks, unit_rows
from distill_core.errors import VectorError
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate

TOP = 10
"""Answers kept of each ranking: agreement is asked at 1, 5 and 10."""

MANY_ANSWERS = 4096
"""Answers above which cosines to them are taken in single precision: half the time and memory."""

_SCORES_OF_MANY = 1 << 26
_FEWEST_RANKED = 500
"""Queries that rank many answers, at least; as many as make so many scores with them, at most."""

_SHORTEST = 1e-30
"""A length that nothing is divided by less than; also a number in single precision."""

_GROUPS = 1 << 10
"""Of columns, whose maxima tell how good an answer must be to be among the best of many."""

_DECIMALS, _SINGLE_DECIMALS = 9, 6
"""To which cosines are compared, in double and in single precision."""


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
        numbers, rows = np.asarray(ids, np.int64), np.asarray(vectors)
        if rows.ndim != 2 or len(rows) != len(numbers) or not len(rows):
            raise VectorError(f"{len(numbers)} answers and vectors of shape {rows.shape} make no index.")
        order = np.argsort(numbers, kind="stable")
        self.ids = numbers[order]
        self._rows = rows if np.array_equal(order, np.arange(len(order))) else rows[order]

    @property
    def directions(self) -> Values:
        """(m, d), of length 1, in double precision: equal answers must tie. Not kept of many."""
        return self._double() if len(self) > MANY_ANSWERS else self._few_directions

    @cached_property
    def _few_directions(self) -> Values:
        return self._double()

    def _double(self) -> Values:
        rows = self._rows.astype(np.float64)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
        return rows

    @cached_property
    def _single_directions(self) -> Matrix:
        return unit_rows(self._rows)

    @property
    def ranked_by(self) -> NDArray[np.floating]:
        """(m, d), of length 1, what projections are ranked by: in single precision where there are many."""
        return self._single_directions if len(self) > MANY_ANSWERS else self.directions

    @property
    def most_ranked(self) -> int:
        """Queries that a second or two a contestant suffice for."""
        return max(_FEWEST_RANKED, _SCORES_OF_MANY // len(self))

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, true_answers: Sequence[Collection[int]]) -> Ids:
        """Return the positions (n, most answers of a query) of each query's answers, filled up with -1.

        Ids that are not in the index are left out.
        """
        places = {number: place for place, number in enumerate(self.ids.tolist())}
        found = [sorted(places[number] for number in set(ids) if number in places) for ids in true_answers]
        table = np.full((len(found), max([1, *map(len, found)])), -1, np.int64)
        for row, known in zip(table, found, strict=True):
            row[: len(known)] = known
        return table

    def rank(self, projections: ArrayLike, true_positions: Ids) -> Ranking:
        """Rank all answers for projections (n, d), whose true answers stand at `true_positions`."""
        directions = self.ranked_by
        rows = np.asarray(projections, directions.dtype)
        top = np.empty((len(rows), min(TOP, len(self))), np.int64)
        best_rank = np.empty(len(rows))
        for part in chunks(len(rows), len(self)):
            with np.errstate(all="ignore"):
                lengths = np.maximum(np.linalg.norm(rows[part], axis=1, keepdims=True), _SHORTEST)
                scores = (rows[part] / lengths.astype(rows.dtype)) @ directions.T
            ranking = rank_scores(scores, true_positions[part])
            top[part], best_rank[part] = ranking.top, ranking.best_rank
        return Ranking(top, best_rank)


def rank_scores(scores: NDArray[np.floating], true_positions: Ids) -> Ranking:
    """Rank by cosines (n, m), the larger the better; equals by position, which is the order of the ids.

    Cosines are compared to nine decimals, those of single precision to six: the same answer twice must tie,
    and a matrix product may compute its two cosines in different orders.
    """
    broken = ~np.isfinite(scores.sum(axis=1))
    top = _best_positions(np.where(broken[:, None], 0, scores) if broken.any() else scores)
    top[broken] = -1
    return Ranking(top, best_ranks(scores, true_positions))


def best_ranks(scores: NDArray[np.floating], true_positions: Ids) -> Values:
    """Return 1 + how many answers stand before the best true one, (n,), as `rank_scores` orders them.

    Infinite where a score is not a number, NaN where no true answer is given. Scores of single precision are
    compared to six decimals. Only those that may tie with the true one are rounded: of many, a few.
    """
    decimals = _decimals(scores)
    true_scores = np.take_along_axis(scores, np.maximum(true_positions, 0), axis=1).round(decimals)
    true_scores[true_positions < 0] = -np.inf
    first = true_scores.argmax(axis=1)[:, None]  # positions ascend, so the first of equals has the lowest id
    score = np.take_along_axis(true_scores, first, axis=1)[:, 0]
    position = np.take_along_axis(true_positions, first, axis=1)[:, 0]
    unknown = position < 0
    score[unknown] = np.inf
    low, high = ((score + step).astype(scores.dtype)[:, None] for step in (-(0.1**decimals), 0.1**decimals))
    above = scores > high
    rows, columns = _places((scores >= low) ^ above)
    rounded = scores[rows, columns].round(decimals)
    before = (rounded > score[rows]) | ((rounded == score[rows]) & (columns < position[rows]))
    ranks: Values = 1.0 + above.sum(axis=1) + np.bincount(rows[before], minlength=len(scores))
    ranks[~np.isfinite(scores.sum(axis=1))] = np.inf
    ranks[unknown] = np.nan
    return ranks


def _best_positions(scores: NDArray[np.floating]) -> Ids:
    """Return the best positions (n, min(10, m)), best first; of many scores a few are rounded and sorted."""
    count, decimals = min(TOP, scores.shape[1]), _decimals(scores)
    worst = np.partition(_maxima(scores), -count, axis=1)[:, -count, None]
    rows, columns = _places(scores >= (worst - 0.1**decimals).astype(scores.dtype))
    order = np.lexsort((columns, -scores[rows, columns].round(decimals), rows))
    first = np.searchsorted(rows, np.arange(len(scores)))
    best: Ids = columns[order][first[:, None] + np.arange(count)]
    return best


def _maxima(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the maxima (n, g) of g >= 10 groups of columns: their ten best bound the ten best from below."""
    members = scores.shape[1] // _GROUPS
    if members < 2:
        return scores
    groups = scores[:, : members * _GROUPS].reshape(len(scores), members, _GROUPS)
    maxima: NDArray[np.floating] = groups.max(axis=1)
    return maxima


def _places(wanted: NDArray[np.bool_]) -> tuple[Ids, Ids]:
    """Return `np.nonzero` of a table (n, m), which is several times as slow as finding them in one row."""
    rows, columns = np.divmod(np.flatnonzero(wanted), wanted.shape[1])
    return rows, columns


def _decimals(scores: NDArray[np.floating]) -> int:
    return _DECIMALS if scores.dtype == np.float64 else _SINGLE_DECIMALS


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
        recall_lead: Recall@1 minus the teacher's, paired by query; None in what an older version wrote.
    """

    name: str
    agreement_at_1: Estimate
    agreement_at_5: Estimate
    agreement_at_10: Estimate
    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr: Estimate
    recall_lead: Estimate | None = None

    def agreement(self, k: int) -> Estimate:
        """Return the agreement at 1, 5 or 10."""
        return {1: self.agreement_at_1, 5: self.agreement_at_5, 10: self.agreement_at_10}[k]


class RetrievalTable(msgspec.Struct, frozen=True, kw_only=True):
    """The contestants' retrieval over all answers of the database.

    Attributes:
        num_answers: m.
        num_judged: Queries that have a true answer, by which recall and MRR are counted.
        num_ranked: Queries that were ranked, a sample by cluster where answers are many; None: all.
        chance: Agreement of a random ranking at 1, 5 and 10: k / m, at most 1.
        scores: The teacher, the student, the baselines.
    """

    num_answers: int
    num_judged: int
    chance: tuple[float, float, float]
    scores: tuple[RetrievalScores, ...]
    num_ranked: int | None = None

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
        return bootstrap.share(ranking.agreement(teacher, k), answers=min(k, ranking.top.shape[1]))

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
            recall_lead=bootstrap.ratio((ranks <= 1) - 1.0 * (teacher.best_rank <= 1), judged),
        )


def chance_levels(num_answers: int) -> tuple[float, float, float]:
    """Return k / m, at most 1, for agreement at 1, 5 and 10."""
    at_1, at_5, at_10 = (min(k / num_answers, 1.0) for k in AGREEMENT_AT)
    return at_1, at_5, at_10
