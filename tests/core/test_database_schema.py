from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from distill_core.database import LdaDatabase
from distill_core.database.schema import REQUIRED, integer, optional_integer, optional_real, real, text
from distill_core.errors import DatabaseError
from tests.core.database_factory import write_lda_db


def execute(database: Path, *statements: str) -> Path:
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return database


def retyped(database: Path, table: str) -> Path:
    """Replace a table by one whose columns have no types, so that they keep whatever is stored."""
    connection = sqlite3.connect(database)
    columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    connection.close()
    return execute(
        database,
        f"CREATE TABLE copy ({', '.join(columns)})",
        f"INSERT INTO copy SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE copy RENAME TO {table}",
    )


def opened(database: Path) -> LdaDatabase:
    return LdaDatabase(database)


def test_another_schema_is_named_by_its_missing_table(tmp_path: Path) -> None:
    database = execute(tmp_path / "lda.db", "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(DatabaseError, match=r"is not an lda\.db: it has no table embedding_models") as caught:
        opened(database)
    assert str(database) in caught.value.message


@pytest.mark.parametrize("table", REQUIRED)
def test_each_required_table_is_missed(tmp_path: Path, table: str) -> None:
    database = execute(write_lda_db(tmp_path), f"DROP TABLE {table}")
    with pytest.raises(DatabaseError, match=f"it has no table {table}"):
        opened(database)


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table in REQUIRED for column in REQUIRED[table]]
)
def test_each_required_column_is_missed(tmp_path: Path, table: str, column: str) -> None:
    database = retyped(write_lda_db(tmp_path), table)
    execute(database, f"ALTER TABLE {table} RENAME COLUMN {column} TO something_else")
    with pytest.raises(DatabaseError, match=f"{table} has no column {column}"):
        opened(database)


def test_a_database_of_required_columns_only_gives_a_teacher(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path, temperatures=(1.0,))
    with opened(database) as complete:
        expected = complete.teacher(1).project(complete.queries(1)[1])
    for table, columns in REQUIRED.items():
        execute(
            database,
            f"CREATE TABLE copy AS SELECT {', '.join(columns)} FROM {table}",
            f"DROP TABLE {table}",
            f"ALTER TABLE copy RENAME TO {table}",
        )
    for table in ("questions", "answers", "qa_clusters", "cluster_questions", "cluster_answers"):
        execute(database, f"DROP TABLE {table}")
    with opened(database) as bare:
        assert (bare.teacher(1).project(bare.queries(1)[1]) == expected).all()
        (projection,) = bare.projections()
        assert (projection.name, projection.temperature, projection.stored_num_heads) == ("", 1.0, None)
        assert [head.cluster_name for head in bare.heads(1)] == [""] * 4
        assert (bare.questions(), bare.answer_records()) == ({}, {})


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("multi_head_projections", "recall_at_1"),
        ("multi_head_projections", "mrr"),
        ("multi_head_projections", "created_at"),
        ("multi_head_projections", "num_heads"),
        ("multi_head_projections", "name"),
        ("cluster_heads", "W_path"),
        ("cluster_heads", "num_questions"),
        ("qa_clusters", "description"),
        ("questions", "length_type"),
        ("embeddings", "created_at"),
    ],
)
def test_an_older_file_without_a_column_still_works(tmp_path: Path, table: str, column: str) -> None:
    database = retyped(write_lda_db(tmp_path), table)
    execute(database, f"ALTER TABLE {table} DROP COLUMN {column}")
    with opened(database) as older:
        assert older.teacher(2).num_heads == 4
        assert len(older.queries(2)[0]) == len(older.questions()) == 16
        assert [head.cluster_id for head in older.heads(2)] == [1, 2, 3, 4]


def test_a_null_temperature_is_the_default(tmp_path: Path) -> None:
    database = execute(write_lda_db(tmp_path), "UPDATE multi_head_projections SET temperature = NULL")
    with opened(database) as lda:
        assert [projection.temperature for projection in lda.projections()] == [1.0, 1.0]


def test_a_temperature_stored_as_text_is_a_number(tmp_path: Path) -> None:
    database = retyped(write_lda_db(tmp_path), "multi_head_projections")
    execute(database, "UPDATE multi_head_projections SET temperature = '0.1' WHERE mh_projection_id = 2")
    with opened(database) as lda:
        assert lda.projection(2).temperature == 0.1
        assert lda.teacher(2).temperature == 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "multi_head_projections SET temperature = 'abc'",
            "The temperature of multi_head_projections row 2 is 'abc'",
        ),
        (
            "multi_head_projections SET temperature = X'00'",
            "The temperature of multi_head_projections row 2 is b'",
        ),
        (
            "multi_head_projections SET temperature = 'nan'",
            "The temperature of multi_head_projections row 2 is 'nan'",
        ),
        (
            "multi_head_projections SET model_id = NULL",
            "The model_id of multi_head_projections row 2 is NULL",
        ),
        ("multi_head_projections SET model_id = 1.5", "The model_id of multi_head_projections row 2 is 1.5"),
        ("multi_head_projections SET model_id = 7", "row 2 is 7, which embedding_models does not have"),
    ],
)
def test_a_bad_projection_is_named_and_the_others_stay_usable(
    tmp_path: Path, change: str, message: str
) -> None:
    database = retyped(write_lda_db(tmp_path), "multi_head_projections")
    execute(database, f"UPDATE {change} WHERE mh_projection_id = 2")
    with opened(database) as lda:
        with pytest.raises(DatabaseError, match=message):
            lda.projection(2)
        with pytest.raises(DatabaseError, match=message):
            lda.teacher(2)
        assert [projection.id for projection in lda.projections()] == [1]
        assert lda.teacher(1).num_heads == 4
        assert [problem.mh_id for problem in lda.problems() if message in problem.message] == [2]
    execute(database, "DELETE FROM multi_head_projections WHERE mh_projection_id = 1")
    with opened(database) as lda, pytest.raises(DatabaseError, match=message):
        lda.projections()


@pytest.mark.parametrize(
    "value", ["'wide'", "0", "-8", "NULL", "8.5", "9e999", "1000001", "4611686018427387904"]
)
def test_a_bad_dimension_names_its_row(tmp_path: Path, value: str) -> None:
    database = retyped(write_lda_db(tmp_path), "embedding_models")
    execute(database, f"UPDATE embedding_models SET dimension = {value}")
    with (
        opened(database) as lda,
        pytest.raises(DatabaseError, match="dimension of embedding_models row 1 is"),
    ):
        lda.projections()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "embeddings SET entity_id = 'x' WHERE entity_id = 3",
            "An entity_id of model 1 in embeddings is 'x'",
        ),
        (
            "embeddings SET entity_id = NULL WHERE entity_id = 3",
            "An entity_id of model 1 in embeddings is NULL",
        ),
        (
            "embeddings SET entity_id = '99999999999999999999' WHERE entity_id = 3",
            "is '99999999999999999999'",
        ),
    ],
)
def test_a_bad_id_names_its_table(tmp_path: Path, change: str, message: str) -> None:
    database = retyped(write_lda_db(tmp_path), "embeddings")
    execute(database, f"UPDATE {change}")
    with opened(database) as lda, pytest.raises(DatabaseError, match=message):
        lda.queries(1)


def test_ids_stored_as_text_are_sorted_as_numbers(tmp_path: Path) -> None:
    database = retyped(write_lda_db(tmp_path), "embeddings")
    execute(database, "UPDATE embeddings SET entity_id = CAST(entity_id AS TEXT)")
    with opened(database) as lda:
        assert lda.queries(1)[0].tolist() == list(range(1, 17))


def test_the_newest_of_two_rows_counts(tmp_path: Path) -> None:
    database = retyped(write_lda_db(tmp_path), "embeddings")
    execute(
        database,
        "INSERT INTO embeddings (embedding_id, model_id, entity_type, entity_id, vector_path) "
        "VALUES (999, 1, 'question', 1, 'a/question_2_model_1.npy')",
    )
    with opened(database) as lda:
        ids, vectors = lda.queries(1)
        assert ids.tolist() == list(range(1, 17))
        assert (vectors[0] == vectors[1]).all()
        assert lda.projection(1).num_questions == 16


def test_rows_are_ordered_by_their_ids_not_by_their_place(tmp_path: Path) -> None:
    database = write_lda_db(tmp_path)
    with opened(database) as lda:
        expected = (
            lda.projections(),
            lda.heads(1),
            lda.queries(1)[1].tolist(),
            lda.teacher(1).answers.tolist(),
        )
    for table in ("embeddings", "cluster_heads", "multi_head_projections", "questions"):
        execute(
            database, f"CREATE TABLE copy AS SELECT * FROM {table} ORDER BY random()", f"DROP TABLE {table}"
        )
        execute(database, f"ALTER TABLE copy RENAME TO {table}")
    with opened(database) as lda:
        assert (lda.projections(), lda.heads(1)) == expected[:2]
        assert lda.queries(1)[1].tolist() == expected[2]
        assert lda.teacher(1).answers.tolist() == expected[3]
        assert list(lda.questions()) == list(range(1, 17))


@pytest.mark.parametrize(("value", "number"), [(3, 3), (3.0, 3), ("3", 3), (" 3 ", 3), (-(2**63), -(2**63))])
def test_whole_numbers(value: object, number: int) -> None:
    assert integer(value, "x") == number
    assert optional_integer(value) == number


@pytest.mark.parametrize(
    "value", [None, 3.5, "3.5", "", b"3", float("inf"), 2**63, 1e300, pytest.param("9" * 5000, id="long")]
)
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(DatabaseError) as caught:
        integer(value, "The size")
    assert re.fullmatch(r"The size is .{1,40}, not a whole number\.", caught.value.message)
    assert optional_integer(value) is None


@pytest.mark.parametrize(("value", "number"), [(1, 1.0), (0.5, 0.5), ("0.5", 0.5), ("1e-3", 0.001)])
def test_numbers(value: object, number: float) -> None:
    assert real(value, "x") == number
    assert optional_real(value) == number


@pytest.mark.parametrize("value", [None, "", "abc", b"1", "nan", pytest.param(10**400, id="long")])
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(DatabaseError, match=r"The size is .*, not a number\."):
        real(value, "The size")
    assert optional_real(value) is None


@pytest.mark.parametrize(("value", "words"), [(None, ""), ("a", "a"), (3, "3"), (b"a\xff", "a\ufffd")])
def test_texts(value: object, words: str) -> None:
    assert text(value) == words
