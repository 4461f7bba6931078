"""The bundled demo database, read with sqlite3 and numpy alone."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

DEMO_DATA = Path(__file__).parents[2] / "core/distill_core/database/demo_data"
DIMENSION = 384
PROJECTION_IDS = (1, 2, 3)
TEMPERATURES = {1: 0.1, 2: 1.0, 3: 0.03}

Numbers = NDArray[np.float64]


@pytest.fixture(scope="module")
def demo() -> Iterator[sqlite3.Connection]:
    uri = f"{(DEMO_DATA / 'lda.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def stored_paths(demo: sqlite3.Connection) -> list[str]:
    statement = """
        SELECT vector_path FROM embeddings
        UNION ALL SELECT centroid_path FROM cluster_heads
        UNION ALL SELECT answer_emb_path FROM cluster_heads
        ORDER BY 1"""
    return [path for (path,) in demo.execute(statement)]


def entity_vectors(demo: sqlite3.Connection, kind: str) -> dict[int, Numbers]:
    rows = demo.execute(
        "SELECT entity_id, vector_path FROM embeddings WHERE entity_type = ? ORDER BY entity_id", (kind,)
    )
    return {entity_id: np.load(DEMO_DATA / path).astype(np.float64) for entity_id, path in rows}


def members(demo: sqlite3.Connection, kind: str) -> dict[int, list[int]]:
    """Return the ids of the questions or answers of each cluster."""
    found: dict[int, list[int]] = {}
    for cluster_id, member_id in demo.execute(
        f"SELECT cluster_id, {kind}_id FROM cluster_{kind}s ORDER BY cluster_id, {kind}_id"
    ):
        found.setdefault(cluster_id, []).append(member_id)
    return found


def heads(demo: sqlite3.Connection, projection_id: int) -> list[tuple[int, Numbers, Numbers]]:
    rows = demo.execute(
        "SELECT cluster_id, centroid_path, answer_emb_path FROM cluster_heads "
        "WHERE mh_projection_id = ? ORDER BY cluster_id",
        (projection_id,),
    )
    return [
        (cluster_id, np.load(DEMO_DATA / centroid), np.load(DEMO_DATA / answer))
        for cluster_id, centroid, answer in rows
    ]


def unit(vector: Numbers) -> Numbers:
    return np.asarray(vector / np.sqrt(np.sum(vector * vector)), dtype=np.float64)


def attention_mean(vectors: Numbers, centre: Numbers) -> Numbers:
    """Return the unit mean of the vectors, weighted by softmax of their products with `centre`."""
    weights = [np.exp(vector @ centre) for vector in vectors]
    total = np.zeros(vectors.shape[1])
    for weight, vector in zip(weights, vectors, strict=True):
        total += weight / sum(weights) * vector
    return unit(total)


def projected(query: Numbers, teacher: list[tuple[int, Numbers, Numbers]], tau: float) -> Numbers:
    powers = [np.exp(unit(query) @ unit(centroid) / tau) for _, centroid, _ in teacher]
    blend = np.zeros(len(query))
    for power, (_, _, answer) in zip(powers, teacher, strict=True):
        blend += power / sum(powers) * answer
    return blend


def ranks_of_true_answers(demo: sqlite3.Connection, projection_id: int) -> list[int]:
    """Return, by brute force, each question's rank of the first answer of its cluster."""
    teacher = heads(demo, projection_id)
    answers = {answer_id: unit(vector) for answer_id, vector in entity_vectors(demo, "answer").items()}
    questions = entity_vectors(demo, "question")
    answers_of = members(demo, "answer")
    ranks = []
    for cluster_id, question_ids in members(demo, "question").items():
        for question_id in question_ids:
            target = unit(projected(questions[question_id], teacher, TEMPERATURES[projection_id]))
            ranking = sorted(answers, key=lambda answer_id: -float(answers[answer_id] @ target))
            ranks.append(1 + min(ranking.index(answer_id) for answer_id in answers_of[cluster_id]))
    return ranks


def test_clusters_are_many_and_named(demo: sqlite3.Connection) -> None:
    names = [name for (name,) in demo.execute("SELECT name FROM qa_clusters ORDER BY cluster_id")]

    assert len(names) >= 24
    assert len(set(names)) == len(names)
    assert all(names)


def test_every_cluster_has_questions_of_each_length_and_answers(demo: sqlite3.Connection) -> None:
    length_of = dict(demo.execute("SELECT question_id, length_type FROM questions ORDER BY question_id"))
    cluster_ids = {cluster_id for (cluster_id,) in demo.execute("SELECT cluster_id FROM qa_clusters")}
    questions = members(demo, "question")
    answers = members(demo, "answer")

    assert set(questions) == set(answers) == cluster_ids
    for question_ids in questions.values():
        assert len(question_ids) >= 10
        assert set(Counter(length_of[question_id] for question_id in question_ids)) == {
            "short",
            "medium",
            "long",
        }
    assert all(len(answer_ids) == 2 for answer_ids in answers.values())


def test_short_questions_are_shorter_than_long_ones(demo: sqlite3.Connection) -> None:
    words: dict[str, list[int]] = {}
    for length, text in demo.execute("SELECT length_type, text FROM questions ORDER BY question_id"):
        words.setdefault(length, []).append(len(text.split()))

    assert max(words["short"]) <= 5
    assert np.median(words["short"]) < np.median(words["medium"]) < np.median(words["long"])


@pytest.mark.parametrize("table", ["questions", "answers"])
def test_all_texts_are_distinct(demo: sqlite3.Connection, table: str) -> None:
    texts = [text for (text,) in demo.execute(f"SELECT text FROM {table}")]

    assert len({text.casefold().strip() for text in texts}) == len(texts)
    assert all(text == text.strip() != "" for text in texts)


def test_no_question_belongs_to_two_clusters(demo: sqlite3.Connection) -> None:
    ids = [question_id for (question_id,) in demo.execute("SELECT question_id FROM cluster_questions")]

    assert sorted(ids) == [
        question_id for (question_id,) in demo.execute("SELECT question_id FROM questions ORDER BY 1")
    ]


def test_no_near_duplicates_across_clusters(demo: sqlite3.Connection) -> None:
    questions = entity_vectors(demo, "question")
    cluster_of = {
        question_id: cluster for cluster, ids in members(demo, "question").items() for question_id in ids
    }
    vectors = np.stack(list(questions.values()))
    clusters = np.array([cluster_of[question_id] for question_id in questions])
    across = clusters[:, None] != clusters[None, :]

    assert (vectors @ vectors.T)[across].max() < 0.95


def test_three_projections_with_one_head_per_cluster(demo: sqlite3.Connection) -> None:
    rows = demo.execute(
        "SELECT mh_projection_id, temperature, num_heads, model_id FROM multi_head_projections ORDER BY 1"
    ).fetchall()
    (clusters,) = demo.execute("SELECT COUNT(*) FROM qa_clusters").fetchone()

    assert {row[0]: row[1] for row in rows} == TEMPERATURES
    for projection_id, _, num_heads, model_id in rows:
        assert num_heads == len(heads(demo, projection_id)) == clusters
        assert model_id == 1


def test_every_text_has_an_embedding(demo: sqlite3.Connection) -> None:
    for kind in ("question", "answer"):
        ids = {row[0] for row in demo.execute(f"SELECT {kind}_id FROM {kind}s")}
        assert set(entity_vectors(demo, kind)) == ids


def test_referenced_files_are_there_and_no_others(demo: sqlite3.Connection) -> None:
    paths = stored_paths(demo)
    present = {path.relative_to(DEMO_DATA).as_posix() for path in (DEMO_DATA / "embeddings").iterdir()}

    assert len(set(paths)) == len(paths)
    assert set(paths) == present


def test_vectors_are_finite_float32_of_unit_length(demo: sqlite3.Connection) -> None:
    for path in stored_paths(demo):
        vector = np.load(DEMO_DATA / path, allow_pickle=False)
        assert vector.dtype == np.float32, path
        assert vector.shape == (DIMENSION,), path
        assert np.isfinite(vector).all(), path
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5), path


@pytest.mark.parametrize("projection_id", PROJECTION_IDS)
def test_centroids_are_the_attention_means_of_their_questions(
    demo: sqlite3.Connection, projection_id: int
) -> None:
    questions = entity_vectors(demo, "question")
    question_ids = members(demo, "question")
    for cluster_id, centroid, _ in heads(demo, projection_id):
        vectors = np.stack([questions[question_id] for question_id in question_ids[cluster_id]])
        expected = unit(vectors.sum(axis=0))
        for _ in range(2):
            expected = attention_mean(vectors, expected)
        np.testing.assert_allclose(centroid, expected, atol=1e-6)


@pytest.mark.parametrize("projection_id", PROJECTION_IDS)
def test_head_answers_are_the_unit_means_of_their_answers(
    demo: sqlite3.Connection, projection_id: int
) -> None:
    answers = entity_vectors(demo, "answer")
    answer_ids = members(demo, "answer")
    for cluster_id, _, head_answer in heads(demo, projection_id):
        vectors = np.stack([answers[answer_id] for answer_id in answer_ids[cluster_id]])
        np.testing.assert_allclose(head_answer, unit(vectors.sum(axis=0)), atol=1e-6)


@pytest.mark.parametrize("projection_id", PROJECTION_IDS)
def test_stored_recall_and_mrr_equal_brute_force(demo: sqlite3.Connection, projection_id: int) -> None:
    ranks = ranks_of_true_answers(demo, projection_id)
    recall_at_1, mrr = demo.execute(
        "SELECT recall_at_1, mrr FROM multi_head_projections WHERE mh_projection_id = ?", (projection_id,)
    ).fetchone()

    assert recall_at_1 == pytest.approx(ranks.count(1) / len(ranks), abs=1e-12)
    assert mrr == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks), abs=1e-9)


def test_recommended_projection_is_good_but_not_perfect(demo: sqlite3.Connection) -> None:
    (recall_at_1,) = demo.execute(
        "SELECT recall_at_1 FROM multi_head_projections WHERE mh_projection_id = 1"
    ).fetchone()

    assert 0.80 <= recall_at_1 <= 0.99


def test_database_is_sound_and_needs_no_other_file(demo: sqlite3.Connection) -> None:
    assert demo.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert demo.execute("PRAGMA foreign_key_check").fetchall() == []
    assert demo.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert {path.name for path in DEMO_DATA.iterdir()} == {"lda.db", "embeddings"}


def test_everything_together_is_small() -> None:
    assert sum(path.stat().st_size for path in DEMO_DATA.rglob("*") if path.is_file()) < 3_000_000
