"""Queries that the teacher has labelled for the routed student, and how near it comes to them. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from distill_core.arrays import Ids, Matrix
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.students.routed import Wishes

_BLOCK = 128
"""Queries labelled at once: with 100,000 heads their scores take 51 MB."""

_RANKED = 10
_RANKED_QUERIES = 300
"""Queries whose nearest answers are compared; with as many heads as that matters for, they take a second."""


class Labels(NamedTuple):
    """What the teacher says of queries.

    Attributes:
        queries: (n, d), unit and divided by tau.
        targets: (n, d), its projections.
        log_mass: (n,), log of the sum over heads of e^s.
        best: (n,), the head with the largest score.
    """

    queries: Matrix
    targets: Matrix
    log_mass: Matrix
    best: Ids

    @property
    def number(self) -> int:
        """How many queries there are."""
        return len(self.queries)


Rows = TypeVar("Rows", bound=tuple[Any, ...])


def joined(parts: Iterable[Rows]) -> Rows:
    """Return named tuples of arrays (n, ...) as one, the first rows first."""
    given = list(parts)
    return type(given[0])(*(np.concatenate(fields) for fields in zip(*given, strict=True)))


def some_of(rows: Rows, part: slice) -> Rows:
    """Return a stretch of a named tuple of arrays (n, ...)."""
    return type(rows)(*(field[part] for field in rows))


class Labeller:
    """The teacher as the routed student needs it: with the mass and the best head of each query.

    Args:
        keys: (N, d), unit centroids.
        answers: (N, d).
    """

    def __init__(self, keys: Matrix, answers: Matrix) -> None:
        self.keys, self.answers = keys, answers
        self._inverse_lengths = 1 / np.maximum(np.linalg.norm(answers, axis=1), np.float32(1e-30))

    def label(self, queries: Matrix) -> Labels:
        """Return the labels of unit queries over tau, (n, d), in bounded memory."""
        blocks = range(0, max(len(queries), 1), _BLOCK)
        return joined(self._block(queries[start : start + _BLOCK]) for start in blocks)

    def _block(self, queries: Matrix) -> Labels:
        scores: Matrix = queries @ self.keys.T
        best = scores.argmax(axis=1)
        top = np.take_along_axis(scores, best[:, None], axis=1)
        scores -= top
        np.exp(scores, scores)
        mass = scores.sum(axis=1, keepdims=True)
        targets = scores @ self.answers
        targets /= mass
        return Labels(queries, targets, (np.log(mass) + top)[:, 0], best)

    def nearest_answers(self, projections: Matrix) -> Ids:
        """Return the heads (n, 10) whose answers are nearest by cosine, of the first queries only."""
        rows, found = projections[:_RANKED_QUERIES], []
        count = min(_RANKED, len(self.answers))
        for start in range(0, len(rows), _BLOCK):
            cosines: Matrix = rows[start : start + _BLOCK] @ self.answers.T
            cosines *= self._inverse_lengths
            found.append(np.argpartition(cosines, -count, axis=1)[:, -count:])
        return np.concatenate(found)


class Figures(NamedTuple):
    """How near a student comes on labelled queries.

    Attributes:
        cosine: Mean.
        worst: The smallest.
        agreement: Share of the ten nearest answers that are the teacher's, too.
        recall: Share of queries whose best head is among the near ones.
        nearly: The smallest cosine of further queries whose best head half as many candidates would miss,
            and of such a scan: what is nearly missed here is missed elsewhere. 1 where there is none.
    """

    cosine: float
    worst: float
    agreement: float
    recall: float
    nearly: float = 1.0

    def reach(self, wishes: Wishes) -> bool:
        """Tell whether every wish is met."""
        own = (self.cosine, self.worst, self.agreement, self.recall)
        met = all(one >= wish for one, wish in zip(own, wishes, strict=True))
        return met and self.nearly >= wishes.worst


def figures_of(
    projections: Matrix, labels: Labels, nearest: Ids, labeller: Labeller, recall: float
) -> Figures:
    """Return the figures of projections (n, d), given the heads (m, 10) that are nearest to the teacher's."""
    cosines = cosine_similarities(projections, labels.targets)
    own = labeller.nearest_answers(projections)
    same = sum(len(np.intersect1d(*pair)) for pair in zip(own, nearest, strict=True))
    return Figures(float(cosines.mean()), float(cosines.min()), same / nearest.size, recall)
