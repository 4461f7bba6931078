"""Queries that say nearly the same, within one set or across a split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Matrix
from distill_core.evaluation.directions import chunks, nearest_rows, unit_rows

NEAR_DUPLICATE_COSINE = 0.98
"""Above this cosine two embedded questions differ by punctuation or a filler word (FACTS 4, issue 3)."""


def seen_in_training(queries: Matrix, train_queries: Matrix) -> NDArray[np.bool_]:
    """Return for each query (n, d) whether a training query (m, d) is a near-duplicate of it."""
    cosines = nearest_rows(unit_rows(queries), unit_rows(train_queries))[1]
    return cosines > NEAR_DUPLICATE_COSINE


def near_duplicate_pairs(queries: Matrix) -> NDArray[np.int64]:
    """Return the pairs (p, 2) of rows i < j of queries (n, d) that are near-duplicates, in order."""
    rows = unit_rows(queries)
    found = [np.empty((0, 2), np.int64)]
    for part in chunks(len(rows), len(rows)):
        first, second = np.nonzero(rows[part] @ rows.T > NEAR_DUPLICATE_COSINE)
        first += part.start
        found.append(np.column_stack((first, second))[first < second])
    return np.concatenate(found)
