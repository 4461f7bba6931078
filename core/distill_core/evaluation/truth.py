"""Clusters and true answers of queries, from the records of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from distill_core.database.records import Answer, Question


def query_clusters(question_ids: Iterable[int], questions: Mapping[int, Question]) -> NDArray[np.int64]:
    """Return the cluster (n,) of each question: its first; one without gets a negative label of its own."""
    found = [questions[number].cluster_ids if number in questions else () for number in question_ids]
    labels = [min(clusters) if clusters else -1 - row for row, clusters in enumerate(found)]
    return np.array(labels, np.int64)


def true_answers(
    question_ids: Iterable[int], questions: Mapping[int, Question], answers: Mapping[int, Answer]
) -> tuple[frozenset[int], ...]:
    """Return for each question the ids of all answers of its clusters; empty if it has none."""
    of_cluster: dict[int, set[int]] = {}
    for answer in answers.values():
        for cluster in answer.cluster_ids:
            of_cluster.setdefault(cluster, set()).add(answer.id)
    nothing: set[int] = set()
    return tuple(
        frozenset().union(*(of_cluster.get(cluster, nothing) for cluster in questions[number].cluster_ids))
        if number in questions
        else frozenset()
        for number in question_ids
    )
