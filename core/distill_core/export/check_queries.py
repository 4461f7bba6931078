"""Queries to compare two forms of a student on: the run's test queries and random ones. No torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.config import RunConfig
from distill_core.database import LdaDatabase
from distill_core.errors import DistillError
from distill_core.runs.provenance import what_differs
from distill_core.runs.records import DataRecord
from distill_core.teacher_data import read_questions

COUNT = 1000
_MOST_TEST = COUNT // 2


class CheckQueries(NamedTuple):
    """Queries (n, d); the first `num_test` are from the run's test part."""

    rows: NDArray[np.float32]
    num_test: int


def check_queries(config: RunConfig | None, data: DataRecord | None, dimension: int) -> CheckQueries:
    """Return 1,000 queries, half of them at most from the test part, the others random unit vectors.

    Without the database, or when it is not what it was, all are random.
    """
    test = _test_queries(config, data, dimension)
    random = np.random.default_rng(0).standard_normal((COUNT - len(test), dimension))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    return CheckQueries(np.concatenate([test, random.astype(np.float32)]), len(test))


def _test_queries(config: RunConfig | None, data: DataRecord | None, dimension: int) -> NDArray[np.float32]:
    nothing = np.empty((0, dimension), np.float32)
    if config is None or data is None:
        return nothing
    try:
        with LdaDatabase(config.data.database) as database:
            labelled = read_questions(database, config.data.mh_id, config.data.temperature)
        if what_differs(data, labelled, config.data.database):
            return nothing
    except DistillError:
        return nothing
    queries = labelled.queries
    rows = np.array([row for row in data.test if 0 <= row < len(queries)][:_MOST_TEST], np.int64)
    return queries[rows] if queries.shape[1] == dimension else nothing
