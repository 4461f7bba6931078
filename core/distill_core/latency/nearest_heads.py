"""The LDA restricted to its nearest heads: exactly, and over an approximate index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from distill_core.arrays import Ids, Matrix
from distill_core.export.extras import failing_as, import_extra
from distill_core.teacher import MultiHeadLDA

Search = Callable[[Matrix], tuple[Ids, Matrix]]
"""From unit queries (n, d) to the numbers (n, k) of near heads and their cosines (n, k)."""

NEIGHBOURS = 32
"""Heads that an approximate index is asked for."""

_LINKS = 32
"""Neighbours a node of the graph of faiss, the value that its documentation starts from."""


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
    directions = np.ascontiguousarray(teacher.unit_centroids().T)

    def search(queries: Matrix) -> tuple[Ids, Matrix]:
        scores = queries @ directions
        heads = np.argpartition(scores, -count, axis=1)[:, -count:]
        return heads, np.take_along_axis(scores, heads, axis=1)

    return search


def approximate_search(
    teacher: MultiHeadLDA, *, count: int = NEIGHBOURS, threads: int = 1
) -> tuple[Search, int]:
    """Return the search over a graph of neighbours by faiss, and the bytes of the graph with its vectors.

    Args:
        teacher: Gives the heads.
        count: Heads a query.
        threads: Of the search.

    Raises:
        ExportError: faiss cannot be loaded, or cannot build the index.
    """
    faiss: Any = import_extra("faiss")  # late: few sessions ask for it
    directions, count = teacher.unit_centroids(), min(count, teacher.num_heads)
    with failing_as("faiss does not work here"):
        faiss.omp_set_num_threads(threads)
        index = faiss.IndexHNSWFlat(directions.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
        index.add(directions)

    def search(queries: Matrix) -> tuple[Ids, Matrix]:
        scores, heads = index.search(queries, count)
        return _without_gaps(heads, scores)

    return search, int(faiss.serialize_index(index).nbytes)


def _without_gaps(heads: Ids, scores: Matrix) -> tuple[Ids, Matrix]:
    """Give no weight to places that a graph search left empty, which faiss marks by -1."""
    return np.maximum(heads, 0), np.where(heads < 0, np.float32(-np.inf), scores).astype(np.float32)
