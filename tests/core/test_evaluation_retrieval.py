from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_core import arrays
from distill_core.database import LdaDatabase
from distill_core.errors import VectorError
from distill_core.evaluation import AnswerIndex, ClusterBootstrap, query_clusters, true_answers
from distill_core.evaluation.retrieval import best_ranks, chance_levels, rank_scores, retrieval_scores

Vector = list[float]
WHOLE = st.integers(-2, 2)
ROWS = st.lists(st.lists(WHOLE, min_size=3, max_size=3).filter(any), min_size=1, max_size=14)


def cosine(one: Vector, other: Vector) -> float:
    lengths = math.sqrt(sum(a * a for a in one)) * math.sqrt(sum(b * b for b in other))
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def ranked(query: Vector, answers: dict[int, Vector]) -> list[int]:
    """Ids by falling cosine; equals by id."""
    return sorted(answers, key=lambda number: (-round(cosine(query, answers[number]), 9), number))


@settings(max_examples=150)
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_rankings_equal_a_sort_with_ties(
    queries: list[Vector], vectors: list[Vector], random: Random
) -> None:
    """Small whole numbers make many equal cosines, and answers that differ in length alone."""
    ids = list(range(3, 3 + 2 * len(vectors), 2))
    random.shuffle(ids)
    answers = dict(zip(ids, vectors, strict=True))
    truths = [random.sample(ids, random.randint(0, min(3, len(ids)))) for _ in queries]
    index = AnswerIndex(ids, vectors)
    ranking = index.rank(queries, index.positions(truths))
    for row, (query, truth) in enumerate(zip(queries, truths, strict=True)):
        order = ranked(query, answers)
        assert index.ids[ranking.top[row]].tolist() == order[:10]
        if truth:
            assert ranking.best_rank[row] == 1 + min(order.index(number) for number in truth)
        else:
            assert math.isnan(ranking.best_rank[row])


def test_agreement_recall_and_mrr_by_hand() -> None:
    rng = np.random.default_rng(1)
    vectors, teacher, student = (rng.normal(size=(count, 4)) for count in (90, 40, 40))
    student = teacher + 0.7 * student
    answers = {number: row.tolist() for number, row in enumerate(vectors, start=100)}
    truths = [{100 + row, 145 + row} for row in range(40)]
    index = AnswerIndex(list(answers), vectors)
    places = index.positions(truths)
    scores = retrieval_scores(
        "student", index.rank(student, places), index.rank(teacher, places), ClusterBootstrap(np.arange(40))
    )
    orders = [ranked(row.tolist(), answers) for row in student]
    other = [ranked(row.tolist(), answers) for row in teacher]
    for k in (1, 5, 10):
        shared = [len(set(a[:k]) & set(b[:k])) / k for a, b in zip(orders, other, strict=True)]
        assert scores.agreement(k).value == pytest.approx(sum(shared) / 40)
    ranks = [1 + min(order.index(n) for n in truth) for order, truth in zip(orders, truths, strict=True)]
    assert 10 in ranks, "the edge is among the cases"
    assert scores.recall_at_1.value == pytest.approx(sum(rank == 1 for rank in ranks) / 40)
    assert scores.recall_at_10.value == pytest.approx(sum(rank <= 10 for rank in ranks) / 40)
    assert scores.mrr.value == pytest.approx(sum(1 / rank for rank in ranks) / 40)


def test_fewer_answers_than_k() -> None:
    index = AnswerIndex([5, 2, 9], np.eye(3))
    ranking = index.rank([[1.0, 0.5, 0.2], [0.2, 0.5, 1.0]], index.positions([[5], [5]]))
    assert index.ids[ranking.top].tolist() == [[5, 2, 9], [9, 2, 5]]
    reverse = index.rank([[0.2, 0.5, 1.0], [0.2, 0.5, 1.0]], index.positions([[5], [5]]))
    assert ranking.agreement(reverse, 1).tolist() == [0.0, 1.0]
    assert ranking.agreement(reverse, 10).tolist() == [1.0, 1.0], (
        "of three answers all are among the ten best"
    )
    assert chance_levels(3) == (1 / 3, 1.0, 1.0)
    assert chance_levels(40) == (1 / 40, 1 / 8, 1 / 4)


def test_the_same_answer_twice_goes_by_id() -> None:
    rng = np.random.default_rng(0)
    vector = rng.normal(size=384)
    vectors = np.vstack([vector * scale for scale in rng.uniform(0.5, 2.0, size=67)])
    index = AnswerIndex(np.arange(67)[::-1], vectors)
    ranking = index.rank(rng.normal(size=(20, 384)), index.positions([[66]] * 20))
    assert (ranking.top == np.arange(10)).all()
    assert (ranking.best_rank == 67).all()


def test_a_projection_that_is_not_a_number_retrieves_nothing() -> None:
    index = AnswerIndex([1, 2], np.eye(2))
    places = index.positions([[1], [1], []])
    ranking = index.rank([[1.0, 0.0], [math.nan, 0.0], [math.inf, 1.0]], places)
    assert ranking.top.tolist() == [[0, 1], [-1, -1], [-1, -1]]
    assert ranking.best_rank[:2].tolist() == [1.0, math.inf]
    assert math.isnan(ranking.best_rank[2])
    teacher = index.rank(np.ones((3, 2)), places)
    assert ranking.agreement(teacher, 10).tolist() == [1.0, 0.0, 0.0]
    scores = retrieval_scores("student", ranking, teacher, ClusterBootstrap([1, 2, 3]))
    assert (scores.recall_at_1.value, scores.mrr.value) == (0.5, 0.5)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    index = AnswerIndex(np.arange(25), rng.normal(size=(25, 5)))
    rows, places = rng.normal(size=(31, 5)), index.positions([[row % 25] for row in range(31)])
    whole = index.rank(rows, places)
    monkeypatch.setattr(arrays, "MAX_SCORES", 60)
    parts = index.rank(rows, places)
    assert (whole.top == parts.top).all()
    assert (whole.best_rank == parts.best_rank).all()


def test_unknown_answers_are_left_out() -> None:
    index = AnswerIndex([4, 8], np.eye(2))
    assert index.positions([[8, 99], [99], [4, 8, 4]]).tolist() == [[1, -1], [-1, -1], [0, 1]]


def test_an_index_needs_a_vector_an_id() -> None:
    with pytest.raises(VectorError):
        AnswerIndex([1, 2], np.eye(3))
    with pytest.raises(VectorError):
        AnswerIndex([], np.empty((0, 3)))


@pytest.mark.parametrize(
    ("name", "projection", "recall"),
    [("n18", 1, 0.958), ("n30", 1, 0.921), ("n18", 2, 0.271), ("n30", 2, 0.138)],
)
def test_the_teachers_published_recall(reference_db: Path, name: str, projection: int, recall: float) -> None:
    """FACTS 6."""
    with LdaDatabase(reference_db / name / "lda.db") as database:
        teacher, (question_ids, queries) = database.teacher(projection), database.queries(projection)
        index = AnswerIndex(*database.answers(projection))
        truths = true_answers(question_ids.tolist(), database.questions(), database.answer_records())
        clusters = query_clusters(question_ids.tolist(), database.questions())
    ranking = index.rank(teacher.project(queries), index.positions(truths))
    scores = retrieval_scores("teacher", ranking, ranking, ClusterBootstrap(clusters))
    assert scores.recall_at_1.value == pytest.approx(recall, abs=0.0006)
    assert scores.agreement_at_10.value == 1.0


@settings(max_examples=60)
@given(ROWS, ROWS, st.data())
def test_ranks_alone_equal_those_of_the_ranking(
    queries: list[Vector], answers: list[Vector], data: st.DataObject
) -> None:
    """In single precision, too: equal cosines of small whole numbers tie in both."""
    index = AnswerIndex(range(len(answers)), answers)
    truth = index.positions([data.draw(st.sets(st.integers(0, len(answers)), max_size=3)) for _ in queries])
    rows = np.asarray(queries, np.float64)
    scores = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ index.directions.T
    expected = rank_scores(scores, truth).best_rank
    by_hand = [
        1 + min(ranked(query, dict(enumerate(answers))).index(number) for number in row) if row else math.nan
        for query, row in zip(queries, ([n for n in row if n >= 0] for row in truth.tolist()), strict=True)
    ]
    for precise in (scores, scores.astype(np.float32)):
        np.testing.assert_array_equal(best_ranks(precise, truth), expected)
    np.testing.assert_array_equal(expected, by_hand)


@settings(max_examples=40)
@given(ROWS, ROWS)
def test_single_precision_ranks_alike(queries: list[Vector], vectors: list[Vector]) -> None:
    """Cosines of small whole numbers differ by more than six decimals, or tie."""
    rows, index = np.asarray(queries, np.float64), AnswerIndex(range(len(vectors)), vectors)
    scores = rows / np.linalg.norm(rows, axis=1, keepdims=True) @ index.directions.T
    truth = index.positions([()] * len(rows))
    single = rank_scores(scores.astype(np.float32), truth)
    np.testing.assert_array_equal(single.top, rank_scores(scores, truth).top)


def test_many_answers_are_ranked_in_single_precision() -> None:
    rng = np.random.default_rng(2)
    vectors, queries = rng.normal(size=(5_000, 6)), rng.normal(size=(30, 6))
    vectors[4_000] = 2 * vectors[7]  # one direction twice: the lower id stands first
    queries[0] = vectors[7]
    index = AnswerIndex(range(5_000), vectors)
    assert index.ranked_by.dtype == np.float32
    ranking = index.rank(queries, index.positions([{row} for row in range(30)]))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = queries @ units.T / np.linalg.norm(queries, axis=1, keepdims=True)
    assert ranking.top[0, :2].tolist() == [7, 4_000]
    np.testing.assert_array_equal(ranking.top[1:, 0], cosines[1:].argmax(axis=1))
    expected = (cosines > cosines[np.arange(30), np.arange(30), None] + 1e-6).sum(axis=1) + 1
    np.testing.assert_allclose(ranking.best_rank, expected, atol=2)


def test_the_best_of_many_answers_may_stand_anywhere() -> None:
    """More answers than groups of columns, some of them outside of every whole group; many best in one."""
    rng = np.random.default_rng(6)
    scores = rng.uniform(-1, 0.5, (40, 3_333))
    scores[0, -9:] = np.linspace(0.6, 0.9, 9)
    scores[1, 5::1024] = 0.8  # one group's members, equal: the lowest positions first
    truth = rng.integers(3_333, size=(40, 1))
    for precise in (scores, scores.astype(np.float32)):
        ranking = rank_scores(precise, truth)
        for row, values in enumerate(scores.round(6)):
            order = np.lexsort((np.arange(3_333), -values))
            assert ranking.top[row].tolist() == order[:10].tolist()
            assert ranking.best_rank[row] == 1 + order.tolist().index(truth[row, 0])
