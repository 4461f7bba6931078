"""Which queries train, which are watched while training, and which judge at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distill_core.arrays import Ids
from distill_core.errors import SettingsError, TooFewQueriesError

MIN_QUERIES = 10


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the queries of each part, ascending; the parts are disjoint and cover every query."""

    train: Ids
    validation: Ids
    test: Ids


def split_queries(
    num_queries: int, *, validation_fraction: float = 0.1, test_fraction: float = 0.2, seed: int = 0
) -> Split:
    """Split queries at random, reproducibly; each part has at least one query.

    The test part depends on the seed and the test share alone, so that changing the validation share
    keeps the test queries. It is the one that scikit-learn's `ShuffleSplit` draws for the same seed.

    Raises:
        TooFewQueriesError: There are fewer than 10 queries.
        SettingsError: The shares leave no query to train on.
    """
    _require_queries(num_queries)
    return _split(num_queries, validation_fraction, test_fraction, seed)


def split_clusters(
    clusters: Ids, *, validation_fraction: float = 0.1, test_fraction: float = 0.2, seed: int = 0
) -> Split:
    """Split queries so that each cluster is in one part only; `clusters` (n,) labels the queries.

    The shares are of the clusters. A query that belongs to several clusters counts to the one of its label.

    Raises:
        TooFewQueriesError: There are fewer than 10 queries, or fewer than 3 clusters.
        SettingsError: The shares leave no cluster to train on.
    """
    _require_queries(len(clusters))
    labels, cluster_of_query = np.unique(clusters, return_inverse=True)
    if len(labels) < 3:
        raise TooFewQueriesError(
            f"The queries belong to {len(labels)} clusters, too few to split by cluster.", "Split by query."
        )
    parts = _split(len(labels), validation_fraction, test_fraction, seed)
    return Split(
        train=np.flatnonzero(np.isin(cluster_of_query, parts.train)),
        validation=np.flatnonzero(np.isin(cluster_of_query, parts.validation)),
        test=np.flatnonzero(np.isin(cluster_of_query, parts.test)),
    )


def _split(count: int, validation_fraction: float, test_fraction: float, seed: int) -> Split:
    order = np.random.RandomState(seed).permutation(count)
    num_test = max(1, round(count * test_fraction))
    num_validation = max(1, round(count * validation_fraction))
    num_held_out = num_test + num_validation
    if num_held_out >= count:
        raise SettingsError(
            f"Shares of {test_fraction:g} and {validation_fraction:g} leave nothing to train on.",
            "Make the test or the validation share smaller.",
            field="test_fraction",
        )
    return Split(
        train=np.sort(order[num_held_out:]),
        validation=np.sort(order[num_test:num_held_out]),
        test=np.sort(order[:num_test]),
    )


def _require_queries(num_queries: int) -> None:
    if num_queries < MIN_QUERIES:
        raise TooFewQueriesError(
            f"The projection has {num_queries} queries, too few to train and to judge.",
            f"At least {MIN_QUERIES} question embeddings are needed.",
        )
