"""Short codes of the heads and the scan over all of them, by faiss. No torch."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix
from distill_core.extras import failing_as, import_extra

_TRAINED_ON = 16_384
"""Heads that the code words are fitted on, at most."""


class CodeIndex:
    """4-bit product quantisation of unit vectors (N, d), scanned whole (faiss `IndexPQFastScan`).

    It is kept as code words and codes: a file then holds plain arrays that are checked by their shapes, and
    the scan is laid out anew when it is first used.

    Args:
        words: (M, 16, d / M) float32.
        codes: (N, ceil(M / 2)) uint8, two codes a byte.

    Raises:
        ExportError: faiss cannot be loaded.
    """

    def __init__(self, words: NDArray[np.float32], codes: NDArray[np.uint8]) -> None:
        parts, count, width = words.shape
        if count != 16 or codes.ndim != 2 or codes.shape[1] != -(-parts // 2):
            raise ValueError(f"code words {words.shape} and codes {codes.shape} do not fit")
        self.words, self.codes = words, codes
        self._dimension = parts * width

    @classmethod
    def fitted(cls, units: Matrix, parts: int, seed: int = 0) -> Self:
        """Return M parts fitted to unit vectors (N, d), N >= 16, by k-means of each part."""
        faiss: Any = import_extra("faiss")
        with failing_as("faiss does not work here"):
            index = _plain(faiss, units.shape[1], parts)
            index.pq.cp.seed, index.pq.cp.min_points_per_centroid = seed, 1
            rows = np.random.default_rng(seed).permutation(len(units))[:_TRAINED_ON]
            index.train(units[np.sort(rows)])
            words = faiss.vector_to_array(index.pq.centroids).reshape(parts, 16, -1)
            return cls(words.astype(np.float32), index.sa_encode(np.ascontiguousarray(units)))

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of; it lays out its scan by itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_scan"}

    def search(self, queries: Matrix, count: int) -> Ids:
        """Return the heads (n, count) with the largest inner products by their codes, at most N of them."""
        faiss, index = self._scan
        number, count = len(queries), min(count, len(self.codes))
        if number > 1:
            faiss.omp_set_num_threads(1)  # a single query takes one anyway
        rows = np.ascontiguousarray(queries, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self._dimension:
            raise ValueError(f"queries {rows.shape} are not of dimension {self._dimension}")
        scores, found = np.empty((number, count), np.float32), np.empty((number, count), np.int64)
        pointers = map(faiss.swig_ptr, (scores, found))
        # What `index.search` calls; its own checks take longer than a scan of a thousand heads.
        index.search_c(number, faiss.swig_ptr(rows), count, *pointers)
        return found

    @cached_property
    def _scan(self) -> tuple[Any, Any]:
        faiss: Any = import_extra("faiss")
        with failing_as("faiss does not work here"):
            index = _plain(faiss, self._dimension, len(self.words))
            faiss.copy_array_to_vector(np.ascontiguousarray(self.words).ravel(), index.pq.centroids)
            index.is_trained = True
            index.add_sa_codes(np.ascontiguousarray(self.codes))
            return faiss, faiss.IndexPQFastScan(index)


def _plain(faiss: Any, dimension: int, parts: int) -> Any:  # noqa: ANN401 - faiss has no types
    return faiss.IndexPQ(dimension, parts, 4, faiss.METRIC_INNER_PRODUCT)
