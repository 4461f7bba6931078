"""Teachers of other shapes, to time: with more heads, or restricted to their nearest ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import psutil

from distill_core.arrays import Ids, Matrix
from distill_core.errors import SettingsError
from distill_core.evaluation.near_heads import Search
from distill_core.extras import failing_as, import_extra
from distill_core.teacher import MultiHeadLDA

_CHUNK = 1 << 14
_MOVED = 1 / 3
_JITTER, _JITTER_RANK = 0.05, 8
_USABLE_SHARE = 0.8
_ARRAYS_AT_THE_PEAK = 4
"""Float32 arrays (N, d) while a teacher is built: centroids, answers, their squares, the scaled copy."""

_MORE_ARRAYS_OFF_THE_CPU = 2
"""The quotient and its transpose again, before they leave for the device."""

_SMALL_PER_HEAD = 32


class GrowingTeacher:
    """The first N heads of one endless row, so that a larger teacher begins with the smaller one.

    After the real heads come jittered ones: a real pair of centroid and answer, moved by a third of the
    difference of two other pairs, and drawn back to the mean so that mean and covariance stay those of the
    real pairs. So a drawn head lies near a real one, topics stay topics, and answers go with centroids. To
    leave the plane of few real heads, jitter of 5 % along eight random directions follows.

    Args:
        teacher: The real heads; it gives the temperature, too.
        max_heads: The most that `grown` will be asked for. Memory is taken only as heads are drawn.
        seed: Of the drawn heads.
        spare_arrays: Float32 arrays (N, d) that the caller needs beside the teacher, for `heads_that_fit`.

    Raises:
        SettingsError: Fewer heads than one, or more than fit in the memory that is free now.
    """

    def __init__(
        self, teacher: MultiHeadLDA, max_heads: int, *, seed: int = 0, spare_arrays: int = 0
    ) -> None:
        require_fitting(max_heads, teacher.dimension, spare_arrays=spare_arrays)
        self.num_real = teacher.num_heads
        self.dimension = teacher.dimension
        self.max_heads = max_heads
        self._temperature = teacher.temperature
        self._seed = seed
        kept = min(self.num_real, max_heads)
        self._centroids = np.empty((max_heads, self.dimension), np.float32)
        self._answers = np.empty((max_heads, self.dimension), np.float32)
        self._centroids[:kept] = teacher.centroids[:kept]
        self._answers[:kept] = teacher.answers[:kept]
        self._filled = kept
        self._pairs = np.hstack((teacher.centroids, teacher.answers))
        self._mean = self._pairs.mean(axis=0)
        self._jitter = _jitter(teacher, seed)

    def grown(self, num_heads: int) -> MultiHeadLDA:
        """Return the teacher of the first N heads; centroids and answers are shared, not copied.

        Raises:
            SettingsError: N is below 1 or above `max_heads`.
        """
        if not 1 <= num_heads <= self.max_heads:
            raise SettingsError(f"A teacher of {num_heads:,} heads is outside 1 to {self.max_heads:,}.")
        while self._filled < num_heads:
            self._draw_chunk()
        return MultiHeadLDA(self._centroids[:num_heads], self._answers[:num_heads], self._temperature)

    def num_real_of(self, num_heads: int) -> int:
        """Return how many of the first N heads are real."""
        return min(self.num_real, num_heads)

    def _draw_chunk(self) -> None:
        """Draw up to the next multiple of the chunk, from a generator that only this chunk has."""
        number = self._filled // _CHUNK
        count = (number + 1) * _CHUNK - self._filled
        kept = min(count, self.max_heads - self._filled)
        rng = np.random.default_rng((self._seed, number))
        drawn = self._moved(rng, count)
        for part, rows in enumerate((self._centroids, self._answers)):
            columns = slice(part * self.dimension, (part + 1) * self.dimension)
            rows[self._filled : self._filled + kept] = drawn[:kept, columns]
        self._filled += kept

    def _moved(self, rng: np.random.Generator, count: int) -> Matrix:
        """Return pairs (count, 2d) near real ones."""
        near, plus, minus = rng.integers(self.num_real, size=(3, count))
        drawn = self._pairs[near] - self._mean
        drawn += np.float32(_MOVED) * (self._pairs[plus] - self._pairs[minus])
        drawn /= np.float32(np.sqrt(1 + 2 * _MOVED**2))  # three independent pairs have added up
        drawn += self._mean
        drawn += rng.standard_normal((count, _JITTER_RANK), dtype=np.float32) @ self._jitter
        moved: Matrix = drawn
        return moved


def heads_that_fit(dimension: int, available_bytes: int | None = None, *, spare_arrays: int = 0) -> int:
    """Return how many heads fit in 80 % of the free memory, counted at the peak of building a teacher.

    Args:
        dimension: d.
        available_bytes: Free memory; by default what this machine has free now.
        spare_arrays: Further float32 arrays (N, d) that are needed at the same time.
    """
    free = psutil.virtual_memory().available if available_bytes is None else available_bytes
    arrays = _ARRAYS_AT_THE_PEAK + spare_arrays
    return int(free * _USABLE_SHARE) // (4 * arrays * dimension + dimension + _SMALL_PER_HEAD)


def heads_that_fit_on(dimension: int, free_bytes: int, *, largest_batch: int) -> int:
    """Return how many heads fit in 80 % of a device's free memory: both matrices, scores and weights."""
    return int(free_bytes * _USABLE_SHARE) // (4 * (2 * dimension + 2 * largest_batch))


def require_fitting(
    num_heads: int, dimension: int, *, spare_arrays: int = 0, fitting: int | None = None
) -> None:
    """Refuse a number of heads that does not fit in memory, before any of it is taken.

    Args:
        num_heads: N.
        dimension: d.
        spare_arrays: As in `heads_that_fit`.
        fitting: How many fit, where that is known already; a device may hold fewer than this machine.

    Raises:
        SettingsError: N is below 1, or too large; the message says how many fit.
    """
    if num_heads < 1:
        raise SettingsError("A teacher needs at least one head.", field="max_heads")
    if fitting is None:
        fitting = heads_that_fit(dimension, spare_arrays=spare_arrays)
    if num_heads > fitting:
        raise SettingsError(
            f"{num_heads:,} heads of dimension {dimension} do not fit in the free memory; {fitting:,} do.",
            f"Take at most {fitting:,} heads.",
            field="max_heads",
        )


def spare_arrays_on(device_type: str) -> int:
    """Return the arrays (N, d) in host memory that bringing the LDA to a device takes for a moment."""
    return 0 if device_type == "cpu" else _MORE_ARRAYS_OFF_THE_CPU


def _jitter(teacher: MultiHeadLDA, seed: int) -> Matrix:
    """Return the directions (rank, 2d) of the jitter, at its length."""
    jitter = np.random.default_rng(seed).standard_normal((_JITTER_RANK, 2 * teacher.dimension))
    for half, rows in zip(np.hsplit(jitter, 2), (teacher.centroids, teacher.answers), strict=True):
        half *= _JITTER * np.sqrt(np.square(rows).mean() / _JITTER_RANK)
    return jitter.astype(np.float32)


NEIGHBOURS = 32
"""Heads that an approximate index is asked for."""

_LINKS = 32
"""Neighbours a node of the graph of faiss, the value that its documentation starts from."""


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
