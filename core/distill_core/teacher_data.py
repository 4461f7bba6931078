"""The queries of a projection with their labels, and their split into training, validation and test parts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import (
    Ids,
    Values,
    arrays_sha256,
    as_often,
    chunks,
    drawn_by_cluster,
    zeros_in_small_pages,
)
from distill_core.config import DataConfig, SplitConfig
from distill_core.database import Database, open_database
from distill_core.errors import DatabaseError, SettingsError, TooFewQueriesError
from distill_core.evaluation.held_out import HeldOut, query_clusters, question_heads, true_answers
from distill_core.evaluation.retrieval import AnswerIndex
from distill_core.teacher import MultiHeadLDA

MIN_QUERIES = 10

_MAX_LABELS = 1 << 29
"""Questions times heads: labels of so many take some ten seconds. Of more questions a sample is split."""

_FEWEST_LABELS = 2000


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledQuestions:
    """A teacher with its queries, and what is known of them.

    Attributes:
        question_ids: (n,), ascending.
        queries: (n, d) float32.
        clusters: (n,) the first cluster of each question; a label of its own, below 0, where it has none.
        answers: All answers of the database; None if they cannot be used.
        true_answers: For each question the ids of the answers of its clusters.
        heads_of: For each question the rows of the heads of its clusters; empty if nobody knows them.
        content: Identity of all this but for the temperature and the weights, where the database tells it;
            see `content_sha256`.
        weights: (n,) > 0, how often each question is asked; None where nobody knows, or each counts once.
    """

    teacher: MultiHeadLDA
    question_ids: NDArray[np.int64]
    queries: NDArray[np.float32]
    clusters: NDArray[np.int64]
    answers: AnswerIndex | None
    true_answers: tuple[frozenset[int], ...]
    heads_of: tuple[tuple[int, ...], ...] = ()
    content: str | None = None
    weights: Values | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherData:
    """Questions with the teacher's projections of them, and their split.

    Attributes:
        labelled: All questions.
        targets: (n, d) the projections of those that are in a part of the split; of the others nothing.
        split: Of all questions, or of a sample of clusters where labelling all would take long.
    """

    labelled: LabelledQuestions
    targets: NDArray[np.float32]
    split: Split

    @property
    def teacher(self) -> MultiHeadLDA:
        """The teacher that labelled the queries."""
        return self.labelled.teacher

    @property
    def question_ids(self) -> NDArray[np.int64]:
        """(n,), ascending."""
        return self.labelled.question_ids

    @property
    def queries(self) -> NDArray[np.float32]:
        """(n, d)."""
        return self.labelled.queries

    def weights_of(self, rows: Ids) -> Values | None:
        """Return how often some of the queries are asked, (m,) for rows (m,); None where each counts once."""
        weights = self.labelled.weights
        return None if weights is None else weights[rows]

    @property
    def watched(self) -> Ids:
        """Rows of the validation part, ascending; with weights as many, each as often as it is asked."""
        rows = self.split.validation
        weights = self.weights_of(rows)
        return rows if weights is None else rows[as_often(weights, len(rows))]

    def held_out(self, rows: NDArray[np.int64]) -> HeldOut:
        """Return some of the queries as the part that judges, beside the training part."""
        labelled, train = self.labelled, self.split.train
        return HeldOut(
            train_weights=self.weights_of(train),
            weights=self.weights_of(rows),
            train_queries=labelled.queries[train],
            train_targets=self.targets[train],
            queries=labelled.queries[rows],
            targets=self.targets[rows],
            clusters=labelled.clusters[rows],
            answers=labelled.answers,
            true_answers=tuple(labelled.true_answers[row] for row in rows.tolist()),
            cancelled=labelled.teacher.cancels(labelled.queries[rows]),
        )


def read_questions(database: Database, mh_id: int, temperature: float | None = None) -> LabelledQuestions:
    """Read a projection's teacher, queries, clusters and answers.

    Raises:
        DatabaseError: The projection or its vectors cannot be used. Unusable answers are no error.
        SettingsError: The temperature given is no positive number.
    """
    teacher = database.teacher(mh_id, temperature=temperature)
    question_ids, queries = database.queries(mh_id)
    own = database.true_heads
    belonging = (
        _by_clusters(database, mh_id, question_ids) if own is None else _by_heads(own, teacher.num_heads)
    )
    return LabelledQuestions(
        teacher=teacher,
        question_ids=question_ids,
        queries=queries,
        answers=_read_answers(database, mh_id),
        content=database.content_sha256,
        weights=database.weights(mh_id),
        **belonging,
    )


class _Belonging(TypedDict):
    """What questions belong to; see `LabelledQuestions`."""

    clusters: Ids
    true_answers: tuple[frozenset[int], ...]
    heads_of: tuple[tuple[int, ...], ...]


def _by_clusters(database: Database, mh_id: int, question_ids: Ids) -> _Belonging:
    numbers, questions = question_ids.tolist(), database.questions()
    return _Belonging(
        clusters=query_clusters(numbers, questions),
        true_answers=true_answers(numbers, questions, database.answer_records()),
        heads_of=question_heads(numbers, questions, database.heads(mh_id)),
    )


def _by_heads(own: Ids, num_heads: int) -> _Belonging:
    """Return what questions belong to of which each has one head, with that head's answer, or none.

    The one below 0 of an unknown head takes the last of each list, which is empty.
    """
    answers = [*(frozenset((head,)) for head in range(num_heads)), frozenset[int]()]
    heads = [*((head,) for head in range(num_heads)), ()]
    rows = own.tolist()
    return _Belonging(
        clusters=np.where(own < 0, -1 - np.arange(len(own)), own),
        true_answers=tuple(map(answers.__getitem__, rows)),
        heads_of=tuple(map(heads.__getitem__, rows)),
    )


def content_sha256(labelled: LabelledQuestions) -> str:
    """Return the identity of what a training reads and is judged by, in hexadecimal.

    That is the temperature, the heads, the questions with their vectors and clusters, and the answers to
    retrieve from: not the bytes of the database, of which a VACUUM, a journal mode or a row of a table that
    nobody reads changes many, and a write-ahead log that holds another temperature changes none. How often
    questions are asked is left out, too: a log of searches grows while a run rests.
    """
    tau = labelled.teacher.temperature
    if labelled.content is not None:
        return hashlib.sha256(f"{labelled.content} {tau!r}".encode()).hexdigest()
    return arrays_sha256(np.array([tau]), *_content(labelled))


def heads_sha256(labelled: LabelledQuestions) -> str:
    """Return the same identity, whatever the temperature."""
    return labelled.content or arrays_sha256(*_content(labelled))


def _content(labelled: LabelledQuestions) -> list[NDArray[np.generic]]:
    teacher, answers = labelled.teacher, labelled.answers
    arrays: list[NDArray[np.generic]] = [
        teacher.centroids,
        teacher.answers,
        labelled.question_ids,
        labelled.queries,
        labelled.clusters,
    ]
    if answers is not None:
        arrays += [answers.ids, answers.directions, answers.positions(labelled.true_answers)]
    return arrays


def load_teacher_data(config: DataConfig, split: SplitConfig) -> TeacherData:
    """Open the database read-only, label every query by the teacher, and split.

    Raises:
        DistillError: The database, the projection or its vectors cannot be used, or the split cannot be made.
    """
    with open_database(config.database) as database:
        labelled = read_questions(database, config.mh_id, config.temperature)
    if split.query_weights == "equal":
        labelled = replace(labelled, weights=None)
    shares = {
        "validation_fraction": split.validation_fraction,
        "test_fraction": split.test_fraction,
    }
    rows = drawn_by_cluster(labelled.clusters, _affordable(labelled))
    if split.split == "cluster":
        parts = split_clusters(labelled.clusters[rows], **shares, seed=split.split_seed)
    else:
        parts = split_queries(len(rows), **shares, seed=split.split_seed)
    parts = Split(rows[parts.train], rows[parts.validation], rows[parts.test])
    return TeacherData(labelled=labelled, targets=_projected(labelled, rows), split=parts)


def _affordable(labelled: LabelledQuestions) -> int:
    return max(_MAX_LABELS // labelled.teacher.num_heads, _FEWEST_LABELS)


def _projected(labelled: LabelledQuestions, rows: Ids) -> NDArray[np.float32]:
    """Return the projections (n, d) of some of all questions, block by block; the others' take no memory."""
    teacher = labelled.teacher
    if len(rows) == len(labelled.queries):
        return teacher.project(labelled.queries)
    targets = zeros_in_small_pages(labelled.queries.shape)
    for part in chunks(len(rows), teacher.num_heads):
        targets[rows[part]] = teacher.project(labelled.queries[rows[part]])
    return targets


def _read_answers(database: Database, mh_id: int) -> AnswerIndex | None:
    try:
        return AnswerIndex(*database.answers(mh_id))
    except DatabaseError:
        return None
