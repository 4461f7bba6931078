"""What a routed student computes: near field, far field, and both as one. No torch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.head_rows import HeadRows
from distill_core.students.routed import LDA, Rung

_GATHERED = 1 << 22
"""Numbers of near heads held at once: queries are taken in chunks so that (chunk, refined, d) stays below."""

_SCORES = 1 << 24
"""Scores of the LDA held at once."""

EMPTY = np.float32(-80)
"""The shift of a cell without heads: exp of it is no mass, and is no subnormal number either."""

_LEAST_SHARE = np.float32(1e-6)
"""Of the far field's mass, where all its heads are near and rounding alone is left."""


_MOST_EXP = np.float32(80)
_LARGEST_INVERSE, _LARGEST_CORRECTION = 36, 30
"""Of 1 / tau and of the far mass's log: up to them exp(scores) needs no shift to stay a float32."""


class NearHeads(NamedTuple):
    """Which heads a scan found for queries: (n, k) numbers and their exact scores."""

    heads: Ids
    scores: Matrix


class Parts(NamedTuple):
    """The near and the far field of queries: log of their mass (n,), and what they say (n, d)."""

    log_near: Matrix
    near: Matrix
    log_far: Matrix
    far: Matrix


class Far(NamedTuple):
    """Merged heads.

    Attributes:
        cell: (N,) int32, the cell of each head; ascending where cells are opened.
        values: (G, d) mean answers of the cells.
        map: (G + d + 1, d): keys of the cells, the linear map of the rest, the slope of the far mass's log.
        shift: (G + d + 1,) likewise.
    """

    cell: NDArray[np.int32]
    values: Matrix
    map: Matrix
    shift: Matrix


class RoutedFields:
    """Near and far field of the heads.

    Args:
        rung: How near heads are found.
        temperature: tau.
        keys: (N, d), unit.
        answers: (N, d).
        far: The merged heads; None with the LDA itself.
        index: The scan's.
    """

    def __init__(
        self,
        rung: Rung,
        temperature: float,
        keys: HeadRows,
        answers: HeadRows,
        far: Far | None = None,
        index: CodeIndex | None = None,
    ) -> None:
        self.rung, self.keys, self.answers, self.index = rung, keys, answers, index
        self._inverse = 1.0 / temperature
        self._fits_exp = self._inverse <= _LARGEST_INVERSE
        if rung == LDA:
            return
        assert far is not None
        cells, dimension = far.values.shape
        if far.map.shape != (cells + dimension + 1, dimension) or len(far.cell) != len(keys):
            raise ValueError(f"a map {far.map.shape} for {cells} cells does not fit the heads")
        sizes = np.bincount(far.cell, minlength=cells)
        self.far, self.cells = far, cells
        self._inverse_sizes = (1 / np.maximum(sizes, 1)).astype(np.float32)
        self._starts = np.concatenate(([0], np.cumsum(sizes)))

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        if len(queries) == 1 and self.rung.near == "scan":
            return self._project_one(queries[0])[None]
        out, step = np.empty_like(queries), self.rows_at_once
        for start in range(0, len(queries), step):
            out[start : start + step] = self._blend(self.scaled(queries[start : start + step]))
        return out

    @property
    def rows_at_once(self) -> int:
        """Queries that are computed together, in bounded memory."""
        if self.rung == LDA:
            return max(1, _SCORES // len(self.keys))
        return max(1, _GATHERED // (max(self.rung.refined, 64) * int(self.far.map.shape[1])))

    def scaled(self, queries: Matrix) -> Matrix:
        """Return unit queries over tau, (n, d); a query of zeros stays one."""
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))
        scaled: Matrix = (
            queries * (np.float32(self._inverse) / np.maximum(lengths, np.float32(1e-30)))[:, None]
        )
        return scaled

    def _blend(self, queries: Matrix) -> Matrix:
        if self.rung == LDA:
            return self._lda(queries)
        mapped: Matrix = queries @ self.far.map.T
        mapped += self.far.shift
        parts = self.parts(queries, mapped[:, : self.cells])
        return blended(parts, mapped[:, self.cells : -1], mapped[:, -1])

    def _lda(self, queries: Matrix) -> Matrix:
        weights: Matrix = queries @ self.keys.part(slice(None)).T
        weights -= weights.max(axis=1, keepdims=True)
        np.exp(weights, weights)
        mixed: Matrix = weights @ self.answers.part(slice(None))
        mixed /= weights.sum(axis=1, keepdims=True)
        return mixed

    def parts(self, queries: Matrix, far_scores: Matrix, found: NearHeads | None = None) -> Parts:
        """Return near and far field of scaled queries (n, d), n no more than `rows_at_once`.

        Args:
            queries: Scaled.
            far_scores: (n, G) of the merged heads.
            found: What `near_heads` found for them, where that is known.
        """
        if self.rung.near == "cells":
            return self._opened(queries, far_scores)
        found = self.near_heads(queries) if found is None else found
        near_top, far_top = found.scores.max(axis=1), far_scores.max(axis=1)
        near = np.exp(found.scores - near_top[:, None])
        far = np.exp(far_scores - far_top[:, None])
        # What each near head adds to its merged head, which the far field then goes without.
        twice = np.take_along_axis(far * self._inverse_sizes, self.far.cell[found.heads], axis=1)
        answers = self.answers.take(found.heads.ravel()).reshape(*found.heads.shape, -1)
        both = np.matmul(np.stack((near, twice), axis=1), answers)
        near_mass, whole = near.sum(axis=1), far.sum(axis=1)
        far_mass = np.maximum(whole - twice.sum(axis=1), _LEAST_SHARE * whole)
        return Parts(
            np.log(near_mass) + near_top,
            both[:, 0] / near_mass[:, None],
            np.log(far_mass) + far_top,
            (far @ self.far.values - both[:, 1]) / far_mass[:, None],
        )

    def near_heads(self, queries: Matrix) -> NearHeads:
        """Return the heads that the scan finds for scaled queries (n, d), with their exact scores."""
        assert self.index is not None
        heads = self.index.search(queries, self.rung.refined)
        rows = self.keys.take(heads.ravel()).reshape(*heads.shape, -1)
        scores = np.matmul(rows, queries[:, :, None])[:, :, 0]
        kept = self.rung.opened
        if kept < heads.shape[1]:
            best = np.argpartition(scores, -kept, axis=1)[:, -kept:]
            heads, scores = np.take_along_axis(heads, best, 1), np.take_along_axis(scores, best, 1)
        return NearHeads(heads, scores)

    def opened_cells(self, far_scores: Matrix) -> Ids:
        """Return the cells (n, B) that are opened for the scores (n, G) of the merged heads."""
        return np.argpartition(far_scores, -self.rung.opened, axis=1)[:, -self.rung.opened :]

    def _opened(self, queries: Matrix, far_scores: Matrix) -> Parts:
        """Compute the heads of opened cells cell by cell, for all queries that opened it at once."""
        opened = self.opened_cells(far_scores)
        rows, cells = np.repeat(np.arange(len(queries)), opened.shape[1]), opened.ravel()
        order = np.argsort(cells, kind="stable")
        rows, cells = rows[order], cells[order]
        names, starts = np.unique(cells, return_index=True)
        groups = [
            (asking, slice(self._starts[cell], self._starts[cell + 1]))
            for cell, asking in zip(names.tolist(), np.split(rows, starts[1:]), strict=True)
            if self._starts[cell + 1] > self._starts[cell]
        ]
        scores = [queries[asking] @ self.keys.part(heads).T for asking, heads in groups]
        top = np.full(len(queries), -np.inf, np.float32)
        for (asking, _), own in zip(groups, scores, strict=True):
            top[asking] = np.maximum(top[asking], own.max(axis=1))
        mass, near = np.zeros(len(queries), np.float32), np.zeros_like(queries)
        for (asking, heads), own in zip(groups, scores, strict=True):
            weights = np.exp(own - top[asking, None])
            mass[asking] += weights.sum(axis=1)
            near[asking] += weights @ self.answers.part(heads)
        far = far_scores.copy()
        np.put_along_axis(far, opened, EMPTY - np.float32(self._inverse), axis=1)
        far_top = far.max(axis=1)
        far = np.exp(far - far_top[:, None])
        far_mass = far.sum(axis=1)
        mixture = (far @ self.far.values) / far_mass[:, None]
        # A query that opened empty cells alone has nothing near: its far field has all of the mass.
        log_near = np.where(mass > 0, np.log(np.maximum(mass, 1e-30)) + top, -np.inf).astype(np.float32)
        near /= np.maximum(mass, np.float32(1e-30))[:, None]
        return Parts(log_near, near, np.log(far_mass) + far_top, mixture)

    def _project_one(self, query: Matrix) -> Matrix:
        """As `_blend` with a scan, for one query (d,): as few calls as possible, which take the time."""
        far_field, cells, index = self.far, self.cells, self.index
        assert index is not None
        query = query * np.float32(self._inverse / max(math.sqrt(query.dot(query)), 1e-30))
        mapped = far_field.map.dot(query)
        mapped += far_field.shift
        heads = index.search(query[None], self.rung.refined)[0]
        scores = self.keys.take(heads).dot(query)
        kept = self.rung.opened
        if kept < len(heads):
            best = scores.argpartition(-kept)[-kept:]
            heads, scores = heads[best], scores[best]
        far, correction = mapped[:cells], mapped[-1]
        if not self._fits_exp or abs(correction) > _LARGEST_CORRECTION:
            near_top, far_top = np.maximum.reduce(scores), np.maximum.reduce(far)
            scores -= near_top
            # As far as the near field's mass is from the far one's, and no farther than exp reaches.
            correction = min(max(far_top - near_top + correction, -_MOST_EXP), _MOST_EXP) - far_top
        far += correction
        np.exp(far, far)
        near = np.exp(scores, scores)
        twice = (far * self._inverse_sizes).take(far_field.cell.take(heads))
        whole = np.add.reduce(far)
        mass = max(whole - np.add.reduce(twice), _LEAST_SHARE * whole)
        mixed: Matrix = far.dot(far_field.values)
        rest = mapped[cells:-1]
        rest *= mass
        mixed += rest
        total = np.add.reduce(near) + mass
        near -= twice
        mixed += near.dot(self.answers.take(heads))
        mixed /= total
        return mixed


def blended(parts: Parts, rest: Matrix, correction: Matrix) -> Matrix:
    """Return the projections (n, d) of near and far field, with what the linear map adds to the far one.

    Args:
        parts: Of n queries.
        rest: (n, d), beside the merged heads.
        correction: (n,), of the log of the far field's mass.
    """
    gap = np.clip(parts.log_near - parts.log_far - correction, -_MOST_EXP, _MOST_EXP)
    share = (1 / (1 + np.exp(gap)))[:, None]
    mixed: Matrix = parts.near + share * (parts.far + rest - parts.near)
    return mixed
