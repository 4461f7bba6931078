"""The closed-form fit of a routed student: merged heads, their masses, a map of what is left. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix, Values
from distill_core.evaluation.tails import Labelled, fit_tail
from distill_core.students.networks.routed_fields import EMPTY, Far, NearHeads, Parts, RoutedFields
from distill_core.training.loop.cells import Cells
from distill_core.training.loop.routed_labels import Labels, joined, some_of

_MASS_QUERIES = 512
_BLOCK = 128


class Near(NamedTuple):
    """What the near part of a rung finds for labelled queries.

    Attributes:
        found: The scan's heads and scores; None where cells are opened.
        hits: (n,), whether the best head is among the near ones.
    """

    found: NearHeads | None
    hits: NDArray[np.bool_]

    @property
    def recall(self) -> float:
        """The share of queries whose best head is near."""
        return float(self.hits.mean())

    def followed_by(self, more: Near) -> Near:
        """Return what is near for these queries and for more."""
        found = None if self.found is None or more.found is None else joined((self.found, more.found))
        return Near(found, np.concatenate((self.hits, more.hits)))

    def part(self, rows: slice) -> NearHeads | None:
        """Return what was found for some of the queries."""
        return None if self.found is None else some_of(self.found, rows)


def near_of(fields: RoutedFields, labels: Labels, cells: Cells) -> Near:
    """Find the near heads of labelled queries, and look for the best ones among them."""
    step, hits = fields.rows_at_once, []
    found: list[NearHeads] = []
    for start in range(0, labels.number, step):
        some = some_of(labels, slice(start, start + step))
        if fields.rung.near == "scan":
            found.append(fields.near_heads(some.queries))
            hits.append((found[-1].heads == some.best[:, None]).any(axis=1))
        else:
            opened = fields.opened_cells(far_scores(fields, some.queries))
            hits.append((opened == cells.cell[some.best][:, None]).any(axis=1))
    return Near(joined(found) if found else None, np.concatenate(hits))


def far_scores(fields: RoutedFields, queries: Matrix) -> Matrix:
    """Return the scores (n, G) of the merged heads."""
    scores: Matrix = queries @ fields.far.map[: fields.cells].T
    scores += fields.far.shift[: fields.cells]
    return scores


def parts_of(fields: RoutedFields, labels: Labels, near: Near) -> Parts:
    """Return near and far field of labelled queries."""
    parts = []
    for start in range(0, labels.number, fields.rows_at_once):
        rows = slice(start, start + fields.rows_at_once)
        queries = labels.queries[rows]
        parts.append(fields.parts(queries, far_scores(fields, queries), near.part(rows)))
    return joined(parts)


def merged(cells: Cells, keys: Matrix, answers: Matrix) -> Far:
    """Return the far field before it is fitted: mean key and mean answer of each cell, and its size."""
    dimension = keys.shape[1]
    linear = np.zeros((cells.number + dimension + 1, dimension), np.float32)
    linear[: cells.number] = cells.means(keys)
    shift = np.zeros(len(linear), np.float32)
    sizes = cells.sizes()
    shift[: cells.number] = np.where(sizes > 0, np.log(np.maximum(sizes, 1)), EMPTY)
    return Far(cells.cell, cells.means(answers), linear, shift)


def fit_masses(fields: RoutedFields, cells: Cells, order: Ids, labels: Labels, near: Near) -> None:
    """Set the shift b of each cell, so that its merged head weighs on average what its far heads do.

    b_g = log of the mean share of Z that those heads have, over that of the key where as many are left.

    Args:
        fields: With the merged heads; changed.
        cells: The heads' cells.
        order: The heads cell by cell; those of opened cells are stored so already.
        labels: Of the training part.
        near: What is near for them.
    """
    sizes = cells.sizes()
    filled, starts = np.flatnonzero(sizes), np.cumsum(sizes) - sizes
    true, merged_mass = np.zeros(cells.number), np.zeros(cells.number)
    keys = fields.keys.part(slice(None))
    for start in range(0, min(labels.number, _MASS_QUERIES), _BLOCK):
        rows = slice(start, min(start + _BLOCK, _MASS_QUERIES))
        some, found = some_of(labels, rows), near.part(rows)
        scores = some.queries @ keys.T
        scores -= some.log_mass[:, None]
        np.exp(scores, scores)
        left = _left(fields, some.queries, found, sizes)
        if found is not None:
            np.put_along_axis(scores, found.heads, 0, axis=1)
            scores = scores[:, order]
        heads = np.add.reduceat(scores, starts[filled], axis=1) * (left[:, filled] > 0)
        true[filled] += heads.sum(axis=0, dtype=np.float64)
        own = some.queries @ fields.far.map[: cells.number].T - some.log_mass[:, None]
        merged_mass += (np.exp(own.astype(np.float64)) * left).sum(axis=0)
    known = (true > 0) & (merged_mass > 0)
    ratio = np.log(np.where(known, true, 1)) - np.log(np.where(known, merged_mass, 1))
    fields.far.shift[: cells.number] = np.where(
        known, ratio, np.where(sizes > 0, np.log(np.maximum(sizes, 1)), EMPTY)
    )


def _left(fields: RoutedFields, queries: Matrix, found: NearHeads | None, sizes: Ids) -> Values:
    """Return the share of each cell's heads that is not near, (n, G)."""
    left = np.ones((len(queries), len(sizes)))
    if found is None:
        np.put_along_axis(left, fields.opened_cells(far_scores(fields, queries)), 0, axis=1)
        return left
    rows = np.repeat(np.arange(len(queries)), found.heads.shape[1])
    near = np.zeros_like(left)
    np.add.at(near, (rows, fields.far.cell[found.heads.ravel()]), 1)
    return np.asarray(1 - near / np.maximum(sizes, 1))


def fit_rest(fields: RoutedFields, train: tuple[Labels, Near], valid: tuple[Labels, Near]) -> None:
    """Set the linear maps: R, r beside the merged heads, and of the log of the far field's mass.

    Args:
        fields: With merged heads and masses; changed.
        train: Labels with what is near.
        valid: Likewise.
    """
    looked_at = (
        Labelled(labels.queries, labels.targets, labels.log_mass, parts_of(fields, labels, near))
        for labels, near in (train, valid)
    )
    linear = fit_tail(*looked_at)
    cells = fields.cells
    fields.far.map[cells:], fields.far.shift[cells:] = linear[:-1].T, linear[-1]
