"""Arrays of numbers and the directions of vectors."""

from __future__ import annotations

import contextlib
import hashlib
import math
import mmap
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix = NDArray[np.float32]
"""Vectors as rows (n, d), or one of them: what databases, teachers and students give and take."""

Values = NDArray[np.float64]
"""Figures that are computed with: scores, times, errors."""

Ids = NDArray[np.int64]
"""Numbers of rows, heads, questions and answers."""


def arrays_sha256(*arrays: NDArray[np.generic]) -> str:
    """Return the SHA-256 of arrays with their types and shapes, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


MAX_SCORES = 1 << 23
"""Scores held at once: rows are taken in chunks so that (chunk, columns) stays below this."""


def unit_rows(vectors: ArrayLike) -> Matrix:
    """Return the rows (n, d) divided by their lengths, float32; a row that is all zero stays so."""
    rows = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    directions: Matrix = rows / np.maximum(lengths, np.float32(1e-30))
    return directions


def chunks(rows: int, columns: int) -> Iterator[slice]:
    """Cut `rows` into slices of which each has at most `MAX_SCORES` scores against `columns`."""
    size = max(1, MAX_SCORES // max(columns, 1))
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def nearest_rows(queries: Matrix, others: Matrix) -> tuple[Ids, Matrix]:
    """Return which unit row of `others` (m, d) is nearest to each of `queries` (n, d), and the cosine."""
    best = np.empty(len(queries), np.int64)
    cosines = np.empty(len(queries), np.float32)
    for part in chunks(len(queries), len(others)):
        scores = queries[part] @ others.T
        best[part] = scores.argmax(axis=1)
        cosines[part] = scores.max(axis=1)
    return best, cosines


def zeros_in_small_pages(shape: tuple[int, int]) -> Matrix:
    """Return zeros (n, d), of which only the rows that are written take memory.

    NumPy asks for huge pages: there, a row here and there takes the memory of all.
    """
    memory = mmap.mmap(-1, max(4 * math.prod(shape), 1))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):  # on Linux alone
        with contextlib.suppress(OSError):  # of a kernel without huge pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    zeros: Matrix = np.frombuffer(memory, np.float32, math.prod(shape)).reshape(shape)
    return zeros


def group_sums(rows: Matrix, groups: NDArray[np.integer], num_groups: int) -> Matrix:
    """Return the sums (G, d) of the rows (n, d) of each group (n,); zeros where a group has none.

    A product with the sparse matrix of who is in which group: thirty times as fast as `np.add.reduceat`.
    """
    from scipy.sparse import csc_array  # late: it takes longer to import than the app's first paint may

    ones = np.ones(len(rows), np.float32)
    members = csc_array((ones, groups, np.arange(len(rows) + 1)), shape=(num_groups, len(rows)))
    sums: Matrix = members @ rows
    return sums


def mean_row(rows: ArrayLike, weights: Values | None = None) -> Values:
    """Return the mean (d,) of rows (n, d), in double precision, each as heavy as its weight (n,)."""
    mean: Values = np.average(np.asarray(rows, np.float64), axis=0, weights=weights)
    return mean


def evenly_spread(count: int, at_most: int) -> Ids:
    """Return rows below a count, ascending and evenly spread: all, or so many."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).astype(np.int64))


def as_often(weights: Values, count: int) -> Ids:
    """Return so many rows, ascending, each as often as its weight (n,) > 0 asks: a systematic sample."""
    ends = np.cumsum(weights)
    rows: Ids = np.searchsorted(ends, (np.arange(count) + 0.5) * (ends[-1] / count))
    return rows


def drawn_by_cluster(clusters: Ids, at_most: int) -> Ids:
    """Return rows (n,), ascending: all, or those of clusters drawn reproducibly until there are enough.

    Args:
        clusters: (m,) the label of each row.
        at_most: Rows that are enough; the last cluster is cut to it.
    """
    if len(clusters) <= at_most:
        return np.arange(len(clusters))
    labels, label_of_row = np.unique(clusters, return_inverse=True)
    place = np.random.default_rng(0).permutation(len(labels))[label_of_row]
    return np.sort(np.argsort(place, kind="stable")[:at_most])
