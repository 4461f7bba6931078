from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distill_core.database import Answer, EmbeddingModel, Head, LdaDatabase, Question
from distill_core.errors import (
    DatabaseError,
    DistillError,
    ProjectionNotFoundError,
    SettingsError,
    VectorError,
)
from tests.core.database_factory import write_lda_db
from tests.core.test_database_connection import snapshot
from tests.core.test_database_schema import execute


def expected_vector(database: Path, name: str) -> list[float]:
    vector: list[float] = np.load(database.parent / f"embeddings/{name}.npy").tolist()
    return vector


def test_what_a_database_holds(tmp_path: Path) -> None:
    with LdaDatabase(write_lda_db(tmp_path, num_heads=3, answers_per_head=2)) as lda:
        assert lda.models() == (EmbeddingModel(id=1, name="model-1", dimension=8),)
        first, second = lda.projections()
        assert (first.id, first.name, first.model_id, first.model) == (1, "projection 1", 1, "model-1")
        assert (first.dimension, first.num_heads, first.num_questions) == (8, 3, 12)
        assert (first.temperature, second.temperature) == (0.1, 1.0)
        assert first.created_at == "2026-01-02 03:04:05"
        assert lda.projection(2) == second
        assert lda.heads(1)[2] == Head(
            cluster_id=3, cluster_name="topic_3", num_questions=4, has_matrix=False
        )
        assert lda.questions()[5] == Question(
            id=5, text="question 5 about topic 2", length_type="short", cluster_ids=(2,)
        )
        assert lda.answer_records()[6] == Answer(id=6, text="answer 6 about topic 3", cluster_ids=(3,))


def test_queries_and_answers_come_with_ascending_ids(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, num_heads=3)
    with LdaDatabase(database) as lda:
        ids, queries = lda.queries(1)
        answer_ids, answers = lda.answers(1)
    assert (str(ids.dtype), str(queries.dtype)) == ("int64", "float32")
    assert ids.tolist() == list(range(1, 13)), "as text, 10 would come before 2"
    assert answer_ids.tolist() == [1, 2, 3]
    assert queries[9].tolist() == expected_vector(database, "question_10_model_1")
    assert answers[2].tolist() == expected_vector(database, "answer_3_model_1")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_teacher_follows_the_formula(tmp_path: Path, dtype: type) -> None:
    database = write_lda_db(tmp_path, dtype=dtype)
    with LdaDatabase(database) as lda:
        _, queries = lda.queries(1)
        projected = lda.teacher(1).project(queries)
    heads = [
        [expected_vector(database, f"mh_1_cluster_{cluster}_{kind}") for cluster in (1, 2, 3, 4)]
        for kind in ("centroid", "answer")
    ]
    centroids, answers = np.array(heads[0], dtype=np.float64), np.array(heads[1], dtype=np.float64)
    unit = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    scores = unit @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T / 0.1
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert projected.dtype == np.float32
    np.testing.assert_allclose(projected, weights @ answers, atol=1e-5)


def test_each_projection_uses_its_own_model(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, dimension=(8, 5), temperatures=(0.1, 1.0))
    with LdaDatabase(database) as lda:
        assert [(p.id, p.model_id, p.dimension, p.temperature) for p in lda.projections()] == [
            (1, 1, 8, 0.1),
            (2, 1, 8, 1.0),
            (3, 2, 5, 0.1),
            (4, 2, 5, 1.0),
        ]
        assert [lda.queries(mh_id)[1].shape for mh_id in (1, 2, 3, 4)] == [(16, 8), (16, 8), (16, 5), (16, 5)]
        assert [lda.answers(mh_id)[1].shape for mh_id in (1, 3)] == [(4, 8), (4, 5)]
        assert [lda.teacher(mh_id).dimension for mh_id in (1, 3)] == [8, 5]
        assert lda.queries(3)[1][0].tolist() == expected_vector(database, "question_1_model_2")
        assert lda.remapping(3).remapped == 28


def test_models_may_have_different_numbers_of_questions(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, dimension=(8, 5), temperatures=(0.1,))
    execute(
        database, "DELETE FROM embeddings WHERE model_id = 2 AND entity_type = 'question' AND entity_id < 9"
    )
    with LdaDatabase(database) as lda:
        assert [p.num_questions for p in lda.projections()] == [16, 8]
        assert lda.queries(2)[0].tolist() == list(range(9, 17))


def test_a_temperature_may_be_chosen(tmp_path: Path) -> None:
    with LdaDatabase(write_lda_db(tmp_path)) as lda:
        assert lda.teacher(1).temperature == 0.1
        assert lda.teacher(1, temperature=0.01).temperature == 0.01
        with pytest.raises(SettingsError) as caught:
            lda.teacher(1, temperature=0.0)
        assert caught.value.field == "temperature"


@pytest.mark.parametrize("tau", ["0", "-0.1", "9e999"])
def test_a_stored_temperature_must_be_positive(tmp_path: Path, tau: str) -> None:
    database = execute(write_lda_db(tmp_path), f"UPDATE multi_head_projections SET temperature = {tau}")
    with LdaDatabase(database) as lda:
        with pytest.raises(
            DatabaseError, match=r"temperature of multi_head_projections row 1 is .* not a positive"
        ):
            lda.teacher(1)
        assert lda.teacher(1, temperature=0.1).temperature == 0.1


@pytest.mark.parametrize("mh_id", [0, 3, -1, 10**30])
def test_no_such_projection_names_those_there_are(tmp_path: Path, mh_id: int) -> None:
    with LdaDatabase(write_lda_db(tmp_path)) as lda:
        for ask in (lda.projection, lda.heads, lda.teacher, lda.queries, lda.answers, lda.remapping):
            with pytest.raises(ProjectionNotFoundError, match=f"has no projection {mh_id}; it has 1, 2"):
                ask(mh_id)


def test_many_projections_are_not_all_named(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, temperatures=(0.1,) * 13)
    message = r"it has 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 3 more\."
    with LdaDatabase(database) as lda, pytest.raises(ProjectionNotFoundError, match=message):
        lda.projection(99)


def test_empty_tables(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    for table in ("embedding_models", "multi_head_projections", "cluster_heads", "embeddings", "questions"):
        execute(database, f"DELETE FROM {table}")
    with LdaDatabase(database) as lda:
        assert (lda.models(), lda.projections(), lda.questions()) == ((), (), {})
        with pytest.raises(ProjectionNotFoundError, match="holds no multi-head projection"):
            lda.teacher(1)


def test_a_projection_without_heads(tmp_path: Path) -> None:
    database = execute(write_lda_db(tmp_path), "DELETE FROM cluster_heads WHERE mh_projection_id = 2")
    with LdaDatabase(database) as lda:
        assert lda.projection(2).num_heads == 0
        assert lda.heads(2) == ()
        with pytest.raises(DatabaseError, match=r"Projection 2 of .* has no heads"):
            lda.teacher(2)


@pytest.mark.parametrize("kind", ["question", "answer"])
def test_a_model_without_vectors(tmp_path: Path, kind: str) -> None:
    database = execute(write_lda_db(tmp_path), f"DELETE FROM embeddings WHERE entity_type = '{kind}'")
    with LdaDatabase(database) as lda, pytest.raises(DatabaseError, match=f"no {kind} vectors of model-1"):
        (lda.queries if kind == "question" else lda.answers)(1)


@pytest.mark.parametrize(
    ("pattern", "message", "load"),
    [
        ("question_*", "16 of 16 question vectors are missing", LdaDatabase.queries),
        ("question_1?_*", "7 of 16 question vectors are missing", LdaDatabase.queries),
        ("answer_2_*", "1 of 4 answer vectors are missing", LdaDatabase.answers),
        ("mh_1_*_centroid*", "4 of 4 centroids are missing", LdaDatabase.teacher),
        ("mh_1_cluster_2_answer*", "1 of 4 head answers are missing", LdaDatabase.teacher),
    ],
)
def test_missing_vectors_are_counted(
    tmp_path: Path, pattern: str, message: str, load: Callable[[LdaDatabase, int], object]
) -> None:
    database = write_lda_db(tmp_path)
    removed = [path.name for path in tmp_path.glob(f"embeddings/{pattern}")]
    for name in removed:
        (tmp_path / "embeddings" / name).unlink()
    with LdaDatabase(database) as lda, pytest.raises(VectorError, match=message) as caught:
        load(lda, 1)
    assert any(
        f"the first is playbooks/lda-training-data/embeddings/{name}" in str(caught.value) for name in removed
    )
    assert f"in {tmp_path} and in {tmp_path}/embeddings" in caught.value.message


def test_a_stored_path_that_is_null_or_empty(tmp_path: Path) -> None:
    database = execute(write_lda_db(tmp_path), "UPDATE embeddings SET vector_path = '' WHERE entity_id = 1")
    with LdaDatabase(database) as lda, pytest.raises(VectorError, match="the first is an empty path"):
        lda.queries(1)


def test_a_zero_centroid_and_a_zero_answer_are_refused(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    np.save(tmp_path / "embeddings/mh_1_cluster_3_centroid.npy", np.zeros(8, np.float32))
    np.save(tmp_path / "embeddings/mh_2_cluster_4_answer.npy", np.zeros(8, np.float32))
    with LdaDatabase(database) as lda:
        with pytest.raises(VectorError, match=r"mh_1_cluster_3_centroid\.npy is all zero"):
            lda.teacher(1)
        with pytest.raises(VectorError, match=r"mh_2_cluster_4_answer\.npy is all zero"):
            lda.teacher(2)


def test_a_vector_of_another_model_is_refused(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, dimension=(8, 5))
    execute(
        database,
        "UPDATE embeddings SET vector_path = replace(vector_path, 'model_1', 'model_2') "
        "WHERE model_id = 1 AND entity_type = 'question' AND entity_id = 1",
    )
    with (
        LdaDatabase(database) as lda,
        pytest.raises(VectorError, match=r"question_1_model_2\.npy has shape \(5,\)"),
    ):
        lda.queries(1)


def test_nothing_is_written_by_any_method(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "data")
    before = snapshot(tmp_path / "data")
    with LdaDatabase(database, cache_dir=tmp_path / "cache") as lda:
        lda.teacher(1)
        lda.queries(1)
        lda.answers(1)
        lda.problems()
        lda.remapping(1)
        assert lda.sha256 == hashlib.sha256(database.read_bytes()).hexdigest()
    assert snapshot(tmp_path / "data") == before


def test_the_path_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lda_db(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("lda.db", Path("lda.db"), "~/lda.db"):
        with LdaDatabase(path) as lda:
            assert lda.path == tmp_path / "lda.db"


def test_a_path_that_cannot_be_resolved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for path in ("lda.db", "~nobody-of-this-name/lda.db"):
        with pytest.raises(DatabaseError, match="cannot be resolved"):
            LdaDatabase(path)


def test_a_database_that_vanishes_after_opening(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    with LdaDatabase(database) as lda:
        database.unlink()
        with pytest.raises(DatabaseError, match="cannot be read any more"):
            _ = lda.sha256
        with contextlib.suppress(DistillError):
            lda.projections()  # an open file stays readable on most systems


def test_a_closed_database_says_so(tmp_path: Path) -> None:
    with LdaDatabase(write_lda_db(tmp_path)) as lda:
        pass
    lda.close()
    with pytest.raises(DatabaseError, match="closed"):
        lda.models()


def test_another_thread_may_load(tmp_path: Path) -> None:
    loaded: list[tuple[int, ...]] = []
    with LdaDatabase(write_lda_db(tmp_path)) as lda:
        thread = threading.Thread(target=lambda: loaded.append(lda.queries(1)[1].shape))
        thread.start()
        thread.join()
    assert loaded == [(16, 8)]


@pytest.mark.parametrize(("name", "num_heads", "num_queries"), [("n18", 18, 144), ("n30", 30, 240)])
def test_the_reference_databases(reference_db: Path, name: str, num_heads: int, num_queries: int) -> None:
    expected = np.load(reference_db / f"{name}_expected.npz")
    with LdaDatabase(reference_db / name / "lda.db") as lda:
        assert [(p.num_heads, p.num_questions, p.dimension) for p in lda.projections()] == [
            (num_heads, num_queries, 384)
        ] * 2
        assert [p.temperature for p in lda.projections()] == [0.1, 1.0]
        assert [p.temperature for p in lda.projections()] == [
            expected["temperature_1"],
            expected["temperature_2"],
        ]
        for mh_id in (1, 2):
            ids, queries = lda.queries(mh_id)
            assert np.array_equal(ids, expected["question_ids"])
            np.testing.assert_allclose(
                lda.teacher(mh_id).project(queries), expected[f"projection_{mh_id}"], atol=1e-6
            )
            assert [problem.severity for problem in lda.problems(mh_id)] == ["note"], (
                "only that paths were remapped"
            )
        assert lda.remapping(1).places == (reference_db / name / "embeddings",)
        assert lda.answers(1)[1].shape == (2 * num_heads, 384)
        assert all(question.cluster_ids for question in lda.questions().values())
