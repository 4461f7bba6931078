"""A teacher seen through a sample of its queries at many temperatures: routing, outputs, ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, Values, drawn_by_cluster, unit_rows
from distill_core.database.records import Progress, untold
from distill_core.evaluation.held_out import near_duplicate_pairs
from distill_core.evaluation.own_questions import own_questions
from distill_core.evaluation.retrieval import MANY_ANSWERS, best_ranks
from distill_core.evaluation.teacher_findings import RankJudge
from distill_core.teacher import answers_cancel, effective_heads

if TYPE_CHECKING:
    from distill_core.teacher_data import LabelledQuestions

_MAX_KEPT = 1 << 25
"""Products of queries and heads, or of heads and answers, that are kept for another temperature."""

_MAX_AT_ONCE = 1 << 22
"""Weights of queries on heads, and products with answers, held at once."""

_MAX_SCORES = 1 << 24
"""Scores of queries on heads and answers that one temperature may cost: beyond it a sample is looked at."""

_NOTHING = np.float32(-60.0)
"""Scores below the best by more count as this: their weights, 1e-26, are nothing, and smaller ones leave the
normal range of single precision, in which a matrix product takes ten times as long."""

_FEWEST, _MOST = 200, 4000
"""Queries of a sample: with fewer the intervals tell little, with more they hardly get narrower."""


@dataclass(slots=True)
class Looked:
    """What is seen at one temperature, gathered part by part.

    Outputs are summed about one of them, so that no digit of a small variance is lost.
    """

    temperature: float
    cancelled: int = 0
    _blended: list[Values] = field(default_factory=list)
    _ranks: list[Values] = field(default_factory=list)
    _left_out_ranks: list[Values] = field(default_factory=list)
    _origin: Values = field(default_factory=lambda: np.empty(0))
    _offsets: list[Values] = field(default_factory=list)
    _directions: list[Values] = field(default_factory=list)
    _squares: float = 0.0

    def add(self, blended: Values, outputs: Values, ranks: Values, left_out_ranks: Values) -> None:
        """Add some queries: effective heads (n,), outputs (n, d), and their ranks (n,)."""
        if not self._blended:
            self._origin = outputs[0].copy()
        self._blended.append(blended)
        self._ranks.append(ranks)
        self._left_out_ranks.append(left_out_ranks)
        lengths = np.linalg.norm(outputs, axis=1, keepdims=True)
        self._directions.append((outputs / np.maximum(lengths, 1e-300)).sum(axis=0))
        shifted = outputs - self._origin
        self._offsets.append(shifted.sum(axis=0))
        self._squares += float(np.square(shifted).sum())

    @property
    def effective_heads(self) -> Values:
        """exp(entropy) of the routing weights of each query (n,)."""
        return np.concatenate(self._blended)

    @property
    def ranks(self) -> tuple[Values, Values]:
        """Ranks of the best true answers (n,), as the teacher stands and without each query's share."""
        return np.concatenate(self._ranks), np.concatenate(self._left_out_ranks)

    def constant(self) -> tuple[float, float]:
        """Return the mean cosine of the mean output to the outputs, and the outputs' variance."""
        count = sum(map(len, self._blended))
        offset = np.sum(self._offsets, axis=0) / count
        mean = offset + self._origin
        length = max(float(np.linalg.norm(mean)), 1e-300)
        cosine = float(np.sum(self._directions, axis=0) @ mean) / count / length
        variance = self._squares / count / len(mean) - float(np.square(offset).mean())
        return cosine, max(variance, 0.0)


class TeacherSample:
    """Queries of a teacher, all or as many as a few seconds allow, in parts of bounded memory.

    A sample is of whole clusters, so that what their questions have in common is seen, too.

    Args:
        labelled: The teacher with its queries, their heads and true answers.
        whole: Whether all are looked at, however long that takes.
        progress: Is told how far a look is.

    Attributes:
        rows: (n,) which of the queries, ascending.
        is_whole: Whether these are all.
        own: Their cosines to the centroids of their heads without their share.
    """

    def __init__(
        self, labelled: LabelledQuestions, *, whole: bool = False, progress: Progress = untold
    ) -> None:
        self._progress = progress
        teacher, index = labelled.teacher, labelled.answers
        answers = 0 if index is None else len(index)
        self._widest = max(teacher.num_heads, answers)
        count = len(labelled.queries)
        at_most = count if whole else _sample_size(_MAX_SCORES // (teacher.num_heads + answers))
        self.rows = drawn_by_cluster(labelled.clusters, at_most)
        self.is_whole = len(self.rows) == count
        self.own = own_questions(teacher, labelled.queries, labelled.heads_of, self.rows)
        self._clusters = labelled.clusters[self.rows]
        self._weights = None if labelled.weights is None else labelled.weights[self.rows]
        self._queries = unit_rows(labelled.queries[self.rows])
        self._answers = teacher.answers
        self._answer_lengths = np.linalg.norm(teacher.answers, axis=1)
        self._centroids = teacher.unit_centroids()
        self._kept: Matrix | None = None
        if len(self.rows) * teacher.num_heads <= _MAX_KEPT:
            self._kept = self._queries @ self._centroids.T
        self._truth: Ids | None = None
        self._head_scores: NDArray[np.floating] | None = None
        self._directions: NDArray[np.floating] = np.empty((0, teacher.dimension))
        if index is not None and labelled.true_answers:
            self._truth = index.positions([labelled.true_answers[row] for row in self.rows.tolist()])
            self._directions = index.ranked_by
            if answers <= MANY_ANSWERS and teacher.num_heads * answers <= _MAX_KEPT:
                self._head_scores = teacher.answers @ self._directions.T

    def look(self, temperatures: Sequence[float]) -> list[Looked]:
        """Look at each temperature; the cosines to the centroids are computed once for all."""
        looked = [Looked(temperature) for temperature in temperatures]
        for part in self._parts("questions looked at"):
            cosines, left_out = self._cosines(part), self._left_out_cosines(part)
            for one in looked:
                weights = _softmax(cosines, one.temperature)
                outputs = self._blended(weights)
                ranks = self._ranks(part, outputs, weights)
                without = np.full(len(ranks), np.nan)
                if left_out is not None:
                    weights_without = _softmax(left_out, one.temperature)
                    known = self.own.known[part]
                    projected = self._blended(weights_without)
                    without[known] = self._ranks(part, projected, weights_without)[known]
                one.cancelled += int(answers_cancel(weights, outputs, self._answer_lengths).sum())
                one.add(effective_heads(weights), outputs, ranks, without)
        return looked

    def judge(self) -> RankJudge | None:
        """Rank by what finds answers without the teacher; None if no query has a true answer."""
        if self._truth is None or not (self._truth >= 0).any():
            return None
        query, nearest, without = (np.full(len(self.rows), np.nan) for _ in range(3))
        for part in self._parts():
            best = self._cosines(part).argmax(axis=1)
            query[part] = self._ranks(part, self._queries[part].astype(np.float64))
            nearest[part] = self._ranks(part, self._answers[best].astype(np.float64))
            left_out = self._left_out_cosines(part)
            if left_out is not None:
                best = left_out.argmax(axis=1)
                ranks = self._ranks(part, self._answers[best].astype(np.float64))
                without[part] = np.where(self.own.known[part], ranks, np.nan)
        return RankJudge(self._clusters, query, nearest, without, self.own.gap, self._weights)

    def near_duplicates(self) -> NDArray[np.int64]:
        """Return the pairs (p, 2) of looked at queries that nearly are one, as rows of all queries."""
        return self.rows[near_duplicate_pairs(self._queries, self._progress)]

    def unused_heads(self) -> tuple[int, ...] | None:
        """Return the heads that no query prefers, ascending; None where some were not looked at."""
        if not self.is_whole:
            return None
        preferred = np.zeros(len(self._centroids), dtype=bool)
        for part in self._parts("questions routed"):
            preferred[self._cosines(part).argmax(axis=1)] = True
        return tuple(np.flatnonzero(~preferred).tolist())

    def _parts(self, what: str = "") -> Iterator[slice]:
        """Yield the rows a few at a time, so that memory does not grow with queries times heads."""
        step = max(1, _MAX_AT_ONCE // self._widest)
        for start in range(0, len(self.rows), step):
            self._progress(what or "questions ranked", start, len(self.rows))
            yield slice(start, min(start + step, len(self.rows)))

    def _blended(self, weights: Matrix) -> Values:
        """Return the outputs (n, d): by the transposes, as BLAS takes a few long rows far faster so."""
        return (self._answers.T @ weights.T).T.astype(np.float64, order="C")

    def _cosines(self, part: slice) -> Matrix:
        return self._queries[part] @ self._centroids.T if self._kept is None else self._kept[part]

    def _left_out_cosines(self, part: slice) -> Matrix | None:
        """Return the cosines (n, N) without each query's share; None where no query's is known."""
        if self._truth is None or not self.own.known[part].any():
            return None
        cosines = self._cosines(part).copy()
        first, last = np.searchsorted(self.own.rows, (part.start, part.stop))
        here = slice(first, last)
        cosines[self.own.rows[here] - part.start, self.own.heads[here]] = self.own.cosines[here]
        return cosines

    def _ranks(self, part: slice, outputs: Values, weights: Matrix | None = None) -> Values:
        """Return the rank of each query's best true answer; NaN where there is none.

        The outputs' products with the answers come from those of the heads, where these are kept.
        """
        if self._truth is None:
            return np.full(len(outputs), np.nan)
        lengths = np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), 1e-300)
        if weights is not None and self._head_scores is not None:
            return best_ranks(weights @ self._head_scores / lengths, self._truth[part])
        directions = (outputs / lengths).astype(self._directions.dtype)
        return best_ranks(directions @ self._directions.T, self._truth[part])


def _softmax(cosines: Matrix, temperature: float) -> Matrix:
    scores: Matrix = cosines / np.float32(temperature)
    scores -= scores.max(axis=1, keepdims=True)
    np.maximum(scores, _NOTHING, out=scores)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _sample_size(affordable: int) -> int:
    return min(max(affordable, _FEWEST), _MOST)
