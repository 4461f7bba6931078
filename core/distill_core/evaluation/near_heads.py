"""What the heads near a query say: alone, or with a tail that stands for all others. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from distill_core.architecture import Cost
from distill_core.arrays import Ids, Matrix, chunks, unit_rows
from distill_core.evaluation.tails import Labelled, fit_tail
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.routed_fields import Parts, blended
from distill_core.teacher import MultiHeadLDA

Search = Callable[[Matrix], tuple[Ids, Matrix]]
"""From unit queries (n, d) to the numbers (n, k) of near heads and their cosines (n, k)."""


class NearestHeads:
    """`p(q)` over the heads that a search finds, their softmax taken anew.

    Args:
        teacher: Gives the answers and the temperature.
        search: Finds the heads.
    """

    def __init__(self, teacher: MultiHeadLDA, search: Search) -> None:
        self._teacher, self._search = teacher, search

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))[:, None]
        heads, scores = self._search(queries / np.maximum(lengths, np.float32(1e-30)))
        scores = (scores - scores.max(axis=1, keepdims=True)) / np.float32(self._teacher.temperature)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        mixed: Matrix = np.einsum("nk,nkd->nd", scores, self._teacher.answers[heads])
        return mixed


def exact_search(teacher: MultiHeadLDA, count: int) -> Search:
    """Return the search that looks at every head, and sorts none."""

    def search(queries: Matrix) -> tuple[Ids, Matrix]:
        scores = teacher.scores(queries)
        heads = np.argpartition(scores, -count, axis=1)[:, -count:]
        return heads, np.take_along_axis(scores, heads, axis=1) * np.float32(teacher.temperature)

    return search


def code_search(teacher: MultiHeadLDA, codes: int, refined: int, count: int) -> Search:
    """Return the search by a scan of 4-bit codes, whose candidates are refined by their exact cosines.

    Args:
        teacher: Gives the heads.
        codes: A head; a divisor of d.
        refined: Candidates.
        count: Heads that are kept, at most as many.

    Raises:
        ExportError: faiss cannot be loaded.
    """
    keys = teacher.unit_centroids()
    index = CodeIndex.fitted(keys, codes)

    def search(queries: Matrix) -> tuple[Ids, Matrix]:
        heads = index.search(queries, refined)
        scores = np.matmul(keys[heads], queries[:, :, None])[:, :, 0]
        best = np.argpartition(scores, -count, axis=1)[:, -count:]
        return np.take_along_axis(heads, best, axis=1), np.take_along_axis(scores, best, axis=1)

    return search


@dataclass(frozen=True, slots=True)
class TailedTeacher:
    """The k best heads exactly, and for all others an affine map of the query, or a constant.

    p = (sum over near heads e^s a + Z t) / (sum over near heads e^s + Z), t = (u, 1) T and log Z = (u, 1) z
    for the unit query u.

    Attributes:
        teacher: N heads.
        k: Heads that are computed.
        tail: (d + 1, d + 1), T and z side by side; (1, d + 1) of a constant.
    """

    teacher: MultiHeadLDA
    k: int
    tail: Matrix

    @classmethod
    def fitted(
        cls, teacher: MultiHeadLDA, k: int, train: Labelled, valid: Labelled, *, constant: bool
    ) -> Self:
        """Fit the tail on what `near_and_rest` returned for training and validation queries."""
        width = 0 if constant else teacher.dimension
        parts = (part._replace(design=part.design[:, :width]) for part in (train, valid))
        return cls(teacher, k, fit_tail(*parts).astype(np.float32))

    @property
    def cost(self) -> Cost:
        """All scores, the best answers, and the map."""
        size, dimension = self.teacher.centroids.size, self.teacher.dimension
        flops = 2 * size + 2 * self.k * dimension + 3 * dimension + 4 * self.k + 2 * self.tail.size
        return Cost(parameters=2 * size + self.tail.size, flops=flops)

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        units, out = unit_rows(queries), np.empty((len(queries), self.teacher.dimension), np.float32)
        for part in _blocks(self.teacher, len(queries), self.k):
            scores = self.teacher.scores(units[part])
            parts = _near_part(self.teacher, scores, self.k)
            design = units[part] if len(self.tail) > 1 else units[part][:, :0]
            mapped = np.hstack((design, np.ones((len(design), 1), np.float32))) @ self.tail
            out[part] = blended(parts, mapped[:, :-1], mapped[:, -1])
        return out


def near_and_rest(teacher: MultiHeadLDA, queries: Matrix, targets: Matrix, k: int) -> Labelled:
    """Score every head for queries (n, d), and tell the k best heads from the rest.

    Args:
        teacher: N > k heads.
        queries: (n, d).
        targets: (n, d), the teacher's projections of them.
        k: Heads that are near.
    """
    units = unit_rows(queries)
    masses, parts = [], []
    for part in _blocks(teacher, len(units), k):
        scores = teacher.scores(units[part])
        parts.append(_near_part(teacher, scores, k))
        top = scores.max(axis=1, keepdims=True)
        masses.append(np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0])
    joined = Parts(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return Labelled(units, np.asarray(targets, np.float32), np.concatenate(masses), joined)


def _near_part(teacher: MultiHeadLDA, scores: Matrix, k: int) -> Parts:
    """Return the near field of the k best of scores (n, N), beside an empty far one."""
    heads = np.argpartition(scores, -k, axis=1)[:, -k:]
    best = np.take_along_axis(scores, heads, axis=1)
    top = best.max(axis=1)
    weights = np.exp(best - top[:, None])
    mass = weights.sum(axis=1)
    near = np.matmul(weights[:, None], teacher.answers[heads])[:, 0] / mass[:, None]
    return Parts(np.log(mass) + top, near, np.zeros_like(top), np.zeros_like(near))


def _blocks(teacher: MultiHeadLDA, rows: int, k: int) -> list[slice]:
    return list(chunks(rows, max(teacher.num_heads, k * teacher.dimension)))
