"""The cells of a teacher's heads: a k-means tree of H branches and L levels, and what its leaves merge."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, group_sums

_PER_CELL = 64
"""Heads a cell that the tree is grown on, at most: more change no mean by much."""

_ROUNDS = 8
_LAST_ROUNDS = 4
_BLOCK = 4096


class Cells(NamedTuple):
    """Which heads are merged.

    Attributes:
        cell: (N,) int32, from 0 to G - 1; a cell may be without heads.
        number: G, H^L or N if that is less.
    """

    cell: NDArray[np.int32]
    number: int

    def order(self) -> Ids:
        """Return the heads cell by cell, (N,)."""
        return np.argsort(self.cell, kind="stable")

    def sizes(self) -> Ids:
        """Return how many heads each cell has, (G,)."""
        return np.bincount(self.cell, minlength=self.number)

    def means(self, rows: Matrix) -> Matrix:
        """Return the mean of the rows (N, d) of each cell, (G, d); zeros where there are none."""
        sizes = np.maximum(self.sizes(), 1)[:, None].astype(np.float32)
        means: Matrix = group_sums(rows, self.cell, self.number) / sizes
        return means


def grow_cells(units: Matrix, branches: int, levels: int, seed: int = 0) -> Cells:
    """Return the cells of unit centroids (N, d).

    The tree gives the first means of its H^L leaves; some rounds over all leaves at once follow, so that a
    head that a branch had cut off from its nearest cell comes to it.
    """
    count = min(branches**levels, len(units))
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(units))[: max(_PER_CELL * count, 4096)])
    sample = units if len(chosen) == len(units) else units[chosen]
    if count == len(units):
        return Cells(np.arange(count, dtype=np.int32), count)
    means = _leaves(sample, branches, levels, rng)[:count]
    for _ in range(_LAST_ROUNDS):
        means = _means(sample, nearest(sample, means), means)
    return Cells(nearest(units, means).astype(np.int32), count)


def nearest(units: Matrix, means: Matrix) -> Ids:
    """Return for each row (N, d) the mean (G, d) with the largest inner product, (N,)."""
    blocks = range(0, len(units), _BLOCK)
    return np.concatenate([(units[start : start + _BLOCK] @ means.T).argmax(axis=1) for start in blocks])


def _leaves(units: Matrix, branches: int, levels: int, rng: np.random.Generator) -> Matrix:
    """Return the means of the leaves, (at most H^L, d), the largest first."""
    groups = [units]
    for _ in range(levels):
        groups = [part for group in groups for part in _divided(group, branches, rng)]
    groups.sort(key=len, reverse=True)
    return _unit(np.stack([group.mean(axis=0) for group in groups]))


def _divided(units: Matrix, branches: int, rng: np.random.Generator) -> list[Matrix]:
    """Divide rows (n, d) into at most H groups by k-means."""
    if len(units) <= branches:
        return [units[row : row + 1] for row in range(len(units))]
    means = units[rng.permutation(len(units))[:branches]]
    for _ in range(_ROUNDS):
        means = _means(units, nearest(units, means), means)
    own = nearest(units, means)
    return [units[own == group] for group in range(branches) if (own == group).any()]


def _means(units: Matrix, own: Ids, before: Matrix) -> Matrix:
    """Return the directions of the groups; one without rows keeps the one before."""
    cells = Cells(own.astype(np.int32), len(before))
    means = _unit(cells.means(units))
    return np.where(cells.sizes()[:, None] > 0, means, before)


def _unit(rows: Matrix) -> Matrix:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Matrix = rows / np.maximum(lengths, np.float32(1e-30))
    return unit
