from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from distill_core.database import LdaDatabase, Problem
from distill_core.database.paths import FoundFile
from distill_core.database.vectors import Vectors, read_vectors
from tests.core.database_factory import write_lda_db
from tests.core.test_database_schema import execute


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database of two projections without any problem, from its own folder."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    return write_lda_db(tmp_path / "data", path_style="beside")


def problems(database: Path, mh_id: int | None = None) -> tuple[Problem, ...]:
    with LdaDatabase(database) as lda:
        return lda.problems(mh_id)


def only(database: Path, mh_id: int | None = None) -> Problem:
    (problem,) = problems(database, mh_id)
    return problem


def test_a_sound_database_has_no_problems(database: Path) -> None:
    assert problems(database) == ()
    assert problems(database, 2) == ()


def test_no_projection_at_all(database: Path) -> None:
    execute(database, "DELETE FROM multi_head_projections")
    problem = only(database)
    assert (problem.severity, problem.mh_id) == ("error", None)
    assert "holds no multi-head projection" in problem.message


def test_no_such_projection(database: Path) -> None:
    problem = only(database, 7)
    assert (problem.severity, problem.mh_id) == ("error", 7)
    assert "has no projection 7; it has 1, 2" in problem.message


def test_an_unreadable_projection_is_an_error_of_its_own(database: Path) -> None:
    execute(database, "UPDATE multi_head_projections SET model_id = 9 WHERE mh_projection_id = 2")
    for problem in (only(database), only(database, 2)):
        assert (problem.severity, problem.mh_id) == ("error", 2)
        assert "which embedding_models does not have" in problem.message
    assert problems(database, 1) == ()


def test_only_unreadable_projections(database: Path) -> None:
    execute(database, "UPDATE multi_head_projections SET model_id = 9")
    assert {problem.mh_id for problem in problems(database)} >= {1, 2}


def test_a_temperature_that_is_not_positive(database: Path) -> None:
    execute(database, "UPDATE multi_head_projections SET temperature = 0 WHERE mh_projection_id = 1")
    problem = only(database)
    assert (problem.severity, problem.mh_id) == ("error", 1)
    assert problem.message.startswith("The temperature of multi_head_projections row 1 is 0.0")


def test_a_projection_without_heads(database: Path) -> None:
    execute(database, "DELETE FROM cluster_heads WHERE mh_projection_id = 2")
    found = problems(database)
    assert [(problem.severity, problem.mh_id) for problem in found] == [("note", 2), ("error", 2)]
    assert "says that it has 4 heads; 0 are there" in found[0].message
    assert "has no heads" in found[1].message


def test_a_stored_number_of_heads_that_differs(database: Path) -> None:
    execute(database, "UPDATE multi_head_projections SET num_heads = 9 WHERE mh_projection_id = 1")
    problem = only(database)
    assert (problem.severity, problem.mh_id) == ("note", 1)
    assert problem.message == "Projection 1 says that it has 9 heads; 4 are there."


def test_a_single_head(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, num_heads=1, questions_per_head=12, temperatures=(0.1,))
    assert any("has one head" in problem.message for problem in problems(database))


def test_matrices_that_are_not_used(database: Path) -> None:
    execute(
        database, "UPDATE cluster_heads SET W_path = 'W.npy' WHERE mh_projection_id = 1 AND cluster_id < 4"
    )
    problem = only(database)
    assert (problem.severity, problem.mh_id) == ("note", 1)
    assert "stored for 3 of 4 heads" in problem.message
    assert "the distilled teacher does not use them" in problem.message
    with LdaDatabase(database) as lda:
        assert [head.has_matrix for head in lda.heads(1)] == [True, True, True, False]


def test_missing_centroids_and_bad_answers_are_both_told(database: Path) -> None:
    (database.parent / "embeddings/mh_1_cluster_1_centroid.npy").unlink()
    np.save(database.parent / "embeddings/mh_1_cluster_2_answer.npy", np.full(8, np.nan, np.float32))
    missing, bad = problems(database)
    assert (missing.severity, bad.severity) == ("error", "error")
    assert missing.message.startswith("1 of 4 centroids are missing")
    assert "mh_1_cluster_2_answer.npy holds NaN" in bad.message


def test_bad_queries_are_an_error_of_each_projection_of_their_model(database: Path) -> None:
    np.save(database.parent / "embeddings/question_5_model_1.npy", np.zeros(8, np.float32))
    assert [(problem.severity, problem.mh_id) for problem in problems(database)] == [
        ("error", 1),
        ("error", 2),
    ]


def test_no_queries(database: Path) -> None:
    execute(database, "DELETE FROM embeddings WHERE entity_type = 'question'")
    assert [(problem.severity, problem.mh_id) for problem in problems(database)] == [
        ("error", 1),
        ("error", 2),
    ]


def test_few_queries(database: Path) -> None:
    execute(database, "DELETE FROM embeddings WHERE entity_type = 'question' AND entity_id > 9")
    few, *others = problems(database, 1)
    assert (few.severity, few.message) == ("note", "Projection 1 has only 9 queries.")
    assert [other.message for other in others] == [
        "7 of 16 questions have no vector of model-1, the first is 10.",
        "1 of 4 heads of projection 1 have a cluster without a query, the first is 4.",
    ]
    execute(
        database, "INSERT INTO embeddings VALUES (NULL, 1, 'question', 10, 'question_10_model_1.npy', NULL)"
    )
    assert not any("only" in problem.message for problem in problems(database, 1))


def test_missing_answers_only_prevent_the_retrieval(database: Path) -> None:
    (database.parent / "embeddings/answer_1_model_1.npy").unlink()
    problem = only(database, 1)
    assert problem.severity == "note"
    assert problem.message.startswith("1 of 4 answer vectors are missing")
    assert "retrieval cannot be measured" in problem.hint


def test_queries_without_a_text_or_a_cluster(database: Path) -> None:
    execute(
        database,
        "DELETE FROM questions WHERE question_id IN (3, 4)",
        "DELETE FROM cluster_questions WHERE question_id = 9",
    )
    unknown, loose = problems(database, 1)
    assert unknown.message == "2 of 16 queries have no row in questions, the first is 3."
    assert loose.message == "1 of 14 queries belong to no cluster, the first is 9."
    assert {unknown.severity, loose.severity} == {"note"}


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (
            "DELETE FROM embeddings WHERE entity_type = 'question' AND entity_id % 4 < 2",
            "8 of 16 questions have no vector of model-1, the first is 1.",
        ),
        (
            "DELETE FROM embeddings WHERE entity_type = 'answer' AND entity_id > 2",
            "2 of 4 answers have no vector of model-1, the first is 3.",
        ),
        (
            "DELETE FROM cluster_heads WHERE mh_projection_id = 1 AND cluster_id IN (2, 3)",
            "2 of 4 clusters have no head in projection 1, the first is 2.",
        ),
        (
            "DELETE FROM qa_clusters WHERE cluster_id = 4",
            "1 of 4 heads of projection 1 belong to no cluster in qa_clusters, the first is 4.",
        ),
        (
            "DELETE FROM cluster_questions WHERE cluster_id = 1",
            "1 of 4 heads of projection 1 have a cluster without a query, the first is 1.",
        ),
        (
            "DELETE FROM answers WHERE answer_id = 3",
            "1 of 4 answer vectors have no row in answers, the first is 3.",
        ),
        (
            "DELETE FROM cluster_answers WHERE cluster_id = 2",
            "1 of 4 clusters of the queries have no answer with a vector, the first is 2.",
        ),
    ],
)
def test_what_one_side_of_a_relation_lacks_is_counted(database: Path, statement: str, told: str) -> None:
    execute(database, statement)
    assert told in [problem.message for problem in problems(database, 1)]


def test_missing_tables_are_told_once(database: Path) -> None:
    execute(database, "DROP TABLE questions", "DROP TABLE cluster_questions")
    problem = only(database)
    assert (problem.severity, problem.mh_id) == ("note", None)
    assert problem.message == "The database lacks questions, cluster_questions."


def test_remapped_files(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "stale", path_style="stale")
    problem = only(database, 1)
    assert problem.severity == "note"
    assert "28 of 28 vector files are not at their stored paths" in problem.message
    assert str(database.parent / "embeddings") in problem.message


def test_files_of_another_database_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read only where the database has none of its own, and then that is told."""
    database = write_lda_db(tmp_path / "own", path_style="beside")
    shutil.copytree(database.parent, tmp_path / "another")
    monkeypatch.chdir(tmp_path / "another")
    assert problems(database, 1) == ()
    shutil.rmtree(database.parent / "embeddings")
    problem = only(database, 1)
    assert problem.severity == "warning"
    assert "28 vector files were found from the working directory" in problem.message
    assert str(tmp_path / "another/embeddings") in problem.message
    with LdaDatabase(database) as lda:
        assert lda.place_warnings(1) == (problem,)


def test_a_damaged_file_is_a_problem_not_an_exception(database: Path) -> None:
    with LdaDatabase(database) as lda:
        content = bytearray(database.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        database.write_bytes(content)
        for problem in (*lda.problems(), *lda.problems(1)):
            assert problem.severity == "error"
            assert "is damaged" in problem.message


def test_shared_vectors_are_read_once(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(files: tuple[FoundFile, ...], dimension: int, *progress: object) -> Vectors:
        sizes.append(len(files))
        return read_vectors(files, dimension)

    monkeypatch.setattr("distill_core.database.vector_store.read_vectors", counted)
    problems(database)
    assert sorted(sizes) == [4, 4, 4, 4, 4, 16], "answers, then two times centroids and answers of heads"
