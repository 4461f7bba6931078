"""The multi-head LDA projection that a student is distilled from. NumPy only."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from distill_core.arrays import Matrix, Values, arrays_sha256
from distill_core.config import check_temperature
from distill_core.errors import VectorError

_MAX_SCORES = 1 << 24
"""Scores held at once: queries are taken in chunks so that (chunk, N) stays below this."""

_SAFE_TEMPERATURE = 0.02
"""From here up scores lie within 50 of 0: no power leaves float32, and no maximum need be taken off."""

_CANCELLED = 1e-4
"""An output this short beside the answers it is blended of: float32 rounding, some 1e-7 of these, turns its
direction by a thousandth and more."""


class MultiHeadLDA:
    """`p(q) = sum_k softmax(cos(q, c_k) / tau)_k a_k` for N heads.

    Query and centroids are normalised, answers are not. The centroids are normalised and divided by tau
    once, here, so that a projection costs two matrix products and a softmax. They are kept as (d, N), with
    which BLAS is faster for many heads, and no slower for few.

    Args:
        centroids: (N, d), none of them all zero.
        answers: (N, d).
        temperature: tau, from 1e-6 to 1e6; towards 0 the best head takes all, large values blend every head.

    Raises:
        VectorError: The arrays have no common shape (N, d), N >= 1, or hold NaN or a zero centroid.
        SettingsError: The temperature is out of its range.
    """

    def __init__(self, centroids: ArrayLike, answers: ArrayLike, temperature: float) -> None:
        self.centroids = _matrix(centroids, "centroids")
        self.answers = _matrix(answers, "answers")
        if self.centroids.shape != self.answers.shape:
            raise VectorError(
                f"The centroids {self.centroids.shape} and the answers {self.answers.shape} do not match.",
                "Every head needs one of each, of the same length.",
            )
        self.temperature = check_temperature(temperature)
        self._one = (int(self.centroids.shape[1]),)
        norms = np.linalg.norm(self.centroids, axis=1, keepdims=True)
        if not norms.all():
            raise VectorError(
                f"Centroid {int(np.argmin(norms))} is all zero.",
                "It has no direction; recompute the projection.",
            )
        self._scaled = np.empty(self.centroids.shape[::-1], np.float32)
        np.divide(self.centroids.T, (norms * self.temperature).T, out=self._scaled)
        self._needs_maximum = self.temperature < _SAFE_TEMPERATURE
        self._directions: Matrix | None = None
        self._ones = np.ones(self.num_heads, dtype=np.float32)

    @property
    def num_heads(self) -> int:
        """N."""
        return int(self.centroids.shape[0])

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.centroids.shape[1])

    def unit_centroids(self) -> Matrix:
        """Return the directions of the heads, (N, d), read only: all who ask share one array."""
        if self._directions is None:
            self._directions = self.centroids / np.linalg.norm(self.centroids, axis=1, keepdims=True)
            self._directions.flags.writeable = False
        return self._directions

    def scores(self, units: Matrix) -> Matrix:
        """Return cosine over tau, (n, N), of unit queries (n, d); what softmax is taken of."""
        scores: Matrix = units.dot(self._scaled)
        return scores

    def sha256(self) -> str:
        """Return the identity of heads and temperature, in hexadecimal."""
        return arrays_sha256(np.array([self.temperature]), self.centroids, self.answers)

    def with_temperature(self, temperature: float) -> MultiHeadLDA:
        """Return the same heads at another tau."""
        return MultiHeadLDA(self.centroids, self.answers, temperature)

    def project(self, queries: ArrayLike) -> Matrix:
        """Return the projection of one query (d,) or of many (n, d), in the same shape, float32."""
        if isinstance(queries, np.ndarray) and queries.dtype == np.float32 and queries.shape == self._one:
            return self._blend(self._weights_of_one(queries))
        return self._by_chunks(queries, self._blend, self.dimension)

    def route(self, queries: ArrayLike) -> Matrix:
        """Return the routing weights (N,) of one query or (n, N) of many; each row sums to 1."""
        return self._by_chunks(queries, lambda weights: weights, self.num_heads)

    def cancels(self, queries: ArrayLike) -> NDArray[np.bool_]:
        """Return for queries (n, d) whether the answers cancel, so that only rounding gives a direction."""
        lengths = np.linalg.norm(self.answers, axis=1)

        def finish(weights: Matrix) -> Matrix:
            return answers_cancel(weights, weights @ self.answers, lengths)[:, None].astype(np.float32)

        return self._by_chunks(np.atleast_2d(np.asarray(queries, np.float32)), finish, 1)[:, 0] > 0

    def _by_chunks(self, queries: ArrayLike, finish: Callable[[Matrix], Matrix], width: int) -> Matrix:
        rows = np.asarray(queries, dtype=np.float32)
        if rows.shape[-1:] != (self.dimension,) or rows.ndim not in (1, 2):
            raise VectorError(
                f"Queries of shape {rows.shape} do not fit a projection of dimension {self.dimension}.",
                f"Pass one query ({self.dimension},) or many (n, {self.dimension}).",
            )
        if rows.ndim == 1:
            return finish(self._weights_of_one(rows))
        chunk = max(1, _MAX_SCORES // self.num_heads)
        if len(rows) <= chunk:
            return finish(self._weights(rows))
        out = np.empty((len(rows), width), dtype=np.float32)
        for start in range(0, len(rows), chunk):
            out[start : start + chunk] = finish(self._weights(rows[start : start + chunk]))
        return out

    def _blend(self, weights: Matrix) -> Matrix:
        projected: Matrix = weights.dot(self.answers)
        return projected

    def _weights_of_one(self, query: Matrix) -> Matrix:
        """As `_weights`, with as few calls as possible: for one query their number is what takes time.

        Hence `dot` for products and sums, which starts sooner than `@` and `sum`.
        """
        scores: Matrix = query.dot(self._scaled)
        scores *= 1.0 / max(math.sqrt(query.dot(query)), 1e-30)
        if self._needs_maximum:
            scores -= np.maximum.reduce(scores)
        np.exp(scores, scores)
        scores /= self._ones.dot(scores)
        return scores

    def _weights(self, rows: Matrix) -> Matrix:
        norms = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        scores = self.scores(rows)
        scores /= np.maximum(norms, np.float32(1e-30))[:, None]
        if self._needs_maximum:
            scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, scores)
        scores /= scores.dot(self._ones)[:, None]
        return scores


def answers_cancel(
    weights: NDArray[np.floating], outputs: NDArray[np.floating], answer_lengths: NDArray[np.floating]
) -> NDArray[np.bool_]:
    """Return for weights (n, N) and outputs (n, d) whether next to no length is left of the answers."""
    short: NDArray[np.bool_] = np.linalg.norm(outputs, axis=1) <= _CANCELLED * (weights @ answer_lengths)
    return short


def effective_heads(weights: ArrayLike) -> Values:
    """Return exp(entropy) of routing weights (..., N): 1 for one head alone, N for all alike.

    Shape (...,). Says how soft the routing of a query is.
    """
    shares = np.asarray(weights)
    logs = np.log(np.maximum(shares, np.finfo(np.float32).tiny))
    logs *= shares
    heads: Values = np.exp(-logs.sum(axis=-1, dtype=np.float64))
    return heads


def _matrix(values: ArrayLike, name: str) -> Matrix:
    matrix = np.ascontiguousarray(values, dtype=np.float32)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise VectorError(f"The {name} have the shape {matrix.shape}.", "Pass an array (N, d) with N >= 1.")
    if not np.isfinite(matrix).all():
        raise VectorError(f"The {name} hold NaN or infinite values.", "Recompute the projection.")
    return matrix
