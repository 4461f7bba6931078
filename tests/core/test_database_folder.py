from __future__ import annotations

import os
import pathlib
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from distill_core.database import LdaDatabase, VectorFolder, is_database, is_vector_folder, open_database
from distill_core.errors import DatabaseError, ProjectionNotFoundError
from distill_core.teacher_data import content_sha256, read_questions
from tests.core.database_factory import write_lda_db, write_vector_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of 4 heads, 8 dimensions and 24 questions, with projections at tau 0.1 and 1.0."""
    return write_vector_folder(tmp_path / "vectors")


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def everything(path: Path) -> None:
    """Ask for all that a screen or a command asks for."""
    with open_database(path) as database:
        read_questions(database, 1)
        database.heads(1)
        assert not [problem for problem in database.problems() if problem.severity == "error"]


def told(path: Path) -> str:
    """Return the one sentence that a folder is refused with, by whoever asks."""
    with pytest.raises(DatabaseError) as raised:
        everything(path)
    return str(raised.value)


def test_the_teacher_is_that_of_an_lda_db_with_the_same_vectors(reference_db: Path, tmp_path: Path) -> None:
    with LdaDatabase(reference_db / "n18/lda.db") as database:
        teacher, (_, queries) = database.teacher(1), database.queries(1)
    np.save(tmp_path / "centroids.npy", teacher.centroids)
    np.save(tmp_path / "answers.npy", teacher.answers)
    np.save(tmp_path / "queries.npy", queries)
    (tmp_path / "teacher.toml").write_text(f"temperature = {teacher.temperature}")
    with open_database(tmp_path) as folder:
        assert isinstance(folder, VectorFolder)
        ids, rows = folder.queries(1)
        assert ids.tolist() == list(range(len(queries)))
        np.testing.assert_array_equal(folder.teacher(1).project(rows), teacher.project(queries))


def test_rows_are_heads_questions_and_answers(folder: Path) -> None:
    with open_database(folder) as database:
        assert [(p.id, p.temperature, p.num_heads, p.num_questions) for p in database.projections()] == [
            (1, 0.1, 4, 24),
            (2, 1.0, 4, 24),
        ]
        assert [head.cluster_name for head in database.heads(2)] == [f"topic {head}" for head in range(4)]
        assert [head.num_questions for head in database.heads(1)] == [6] * 4
        question = database.questions()[7]
        assert (question.id, question.text, question.cluster_ids) == (7, "question 7 about topic 1", (1,))
        labelled = read_questions(database, 1)
        assert labelled.clusters.tolist() == [row // 6 for row in range(24)]
        assert [set(ids) for ids in labelled.true_answers] == [{row // 6} for row in range(24)]
        np.testing.assert_array_equal(np.load(folder / "queries.npy"), labelled.queries)
        assert not database.problems()
        with pytest.raises(ProjectionNotFoundError, match="no projection 3; it has 1, 2"):
            database.teacher(3)


@pytest.mark.parametrize("dtype", ["<f2", "<f8", ">f4", ">f8"])
def test_any_floating_point_type_is_read_as_float32(tmp_path: Path, dtype: str) -> None:
    stored = write_vector_folder(tmp_path, dtype=dtype)
    with open_database(stored) as database:
        _, queries = database.queries(1)
        assert queries.dtype == np.float32
        np.testing.assert_array_equal(queries, np.load(stored / "queries.npy").astype(np.float32))
        np.testing.assert_array_equal(database.answers(1)[1], np.load(stored / "answers.npy").astype("f4"))


def test_columns_may_come_first(folder: Path) -> None:
    rows = np.load(folder / "queries.npy")
    np.save(folder / "queries.npy", np.asfortranarray(rows))
    with open_database(folder) as database:
        np.testing.assert_array_equal(database.queries(1)[1], rows)


def test_vectors_alone_will_do_and_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    with open_database(write_vector_folder(tmp_path, texts=False)) as database:
        labelled = read_questions(database, 1)
        notes = " ".join(problem.message for problem in database.problems())
    assert not any(labelled.true_answers)
    assert labelled.clusters.tolist() == [-1 - row for row in range(24)]
    assert "τ = 1 is taken" in notes
    assert "their true heads are unknown" in notes
    assert "the heads have no names" in notes


def test_lines_may_be_texts_and_have_more_than_is_asked_for(folder: Path) -> None:
    (folder / "heads.jsonl").write_text('"a"\n{"name": "b", "x": [1]}\n{"text": "c"}\n{}\n\n')
    lines = ['"no head"', '{"text": "null", "head": null}'] + ['{"text": "q", "head": 3}'] * 22
    (folder / "queries.jsonl").write_text("\n".join(lines))
    with open_database(folder) as database:
        assert [head.cluster_name for head in database.heads(1)] == ["a", "b", "c", ""]
        assert [database.questions()[row].cluster_ids for row in range(3)] == [(), (), (3,)]
        assert [problem.message for problem in database.problems()] == [
            "2 of 24 questions name no head.",
            "3 of 4 heads are no question's own.",
        ]


def resaved(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        np.save(folder / name, change(np.load(folder / name)), allow_pickle=True)

    return save


def put(name: str, row: int, value: float) -> Callable[[Path], None]:
    def change(rows: np.ndarray) -> np.ndarray:
        rows[row] = value
        return rows

    return resaved(name, change)


def written(name: str, content: bytes | str) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content

    def write(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return write


def line(name: str, number: int, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        lines[number - 1] = text
        (folder / name).write_text("\n".join(lines))

    return change


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, size)


def replaced(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "no answers": (lambda folder: (folder / "answers.npy").unlink(), "answers.npy is missing. A folder of"),
    "no queries": (lambda folder: (folder / "queries.npy").unlink(), "queries.npy is missing."),
    "fewer answers": (resaved("answers.npy", lambda a: a[:3]), "answers.npy has shape (3, 8), centroids.npy"),
    "other queries": (resaved("queries.npy", lambda a: a[:, :5]), "queries.npy have 5 dimensions, those of"),
    "one vector": (resaved("queries.npy", lambda a: a[0]), "queries.npy has shape (8,); one vector a row"),
    "no rows": (resaved("centroids.npy", lambda a: a[:0]), "centroids.npy has shape (0, 8); one vector a"),
    "whole numbers": (
        resaved("answers.npy", lambda a: a.astype("i4")),
        "answers.npy holds <i4, not ",
    ),
    "objects": (resaved("queries.npy", lambda a: a.astype(object)), "queries.npy holds pickled objects"),
    "a pickle": (written("queries.npy", pickle.dumps([1])), "queries.npy is a pickle, not a .npy file."),
    "nothing": (written("queries.npy", b""), "queries.npy is an empty file."),
    "noise": (written("centroids.npy", b"abc" * 99), "centroids.npy is not a .npy file."),
    "truncated": (cut("queries.npy", 600), "queries.npy is truncated: 472 of 768 bytes are there."),
    "NaN": (put("queries.npy", 5, np.nan), "Row 5 of"),
    "infinity": (put("answers.npy", 2, np.inf), "answers.npy holds NaN or infinity."),
    "zero": (put("centroids.npy", 1, 0.0), "centroids.npy is all zero, so it has no direction."),
    "many zero": (put("queries.npy", slice(2, 5), 0.0), "direction (the first of 3 such rows)."),  # type: ignore[arg-type]
    "tiny": (put("queries.npy", 0, 1e-30), "queries.npy has values too small or too large"),
    "few lines": (written("queries.jsonl", '"a"\n"b"\n'), "has 2 lines, queries.npy has 24 rows. Give"),
    "many lines": (written("heads.jsonl", '"a"\n' * 5), "has 5 lines, centroids.npy has 4 rows."),
    "no JSON": (line("queries.jsonl", 7, '{"text": '), "Line 7 of"),
    "a list": (line("heads.jsonl", 2, "[1, 2]"), 'heads.jsonl is not an object with "text": Expected'),
    "no UTF-8": (written("heads.jsonl", b'"\xff\xfe"\n' * 4), "Line 1 of"),
    "head of words": (line("queries.jsonl", 3, '{"text": "a", "head": "b"}'), "got `str` - at `$.head`"),
    "head too high": (line("queries.jsonl", 9, '{"head": 4}'), "names head 4; there are heads 0 to 3. Heads"),
    "head below 0": (line("queries.jsonl", 9, '{"head": -1}'), "names head -1; there are heads 0 to 3."),
    "no TOML": (written("teacher.toml", "temperatures = ["), "teacher.toml is no TOML: "),
    "no temperature": (
        written("teacher.toml", "temperature = 0"),
        "teacher.toml is 0, not a positive",
    ),
    "words": (written("teacher.toml", 'temperature = "warm"'), "is 'warm', not a number. Write temperatures"),
    "a model": (written("teacher.toml", "model = 3"), "The model in"),
    "a folder": (replaced("queries.npy", Path.mkdir), "queries.npy is no plain file."),
    "a pipe": (replaced("heads.jsonl", os.mkfifo), "heads.jsonl is no plain file."),
    "a loop": (replaced("heads.jsonl", lambda path: path.symlink_to(path)), "heads.jsonl cannot be read: "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_clear_sentence(folder: Path, fault: str) -> None:
    damage, expected = FAULTS[fault]
    damage(folder)
    message = told(folder)
    assert expected in message
    assert "\n" not in message
    try:
        with open_database(folder) as database:  # `inspect` collects what raises elsewhere
            assert [problem.severity for problem in database.problems(1)] == ["error"]
    except DatabaseError:
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(folder: Path) -> None:
    (folder / "answers.npy").chmod(0)
    assert "answers.npy may not be read: permission denied." in told(folder)


def test_a_file_that_is_written_while_it_is_read_is_told(folder: Path) -> None:
    def write_over(what: str, done: int, total: int) -> None:
        if what == "vectors of queries.npy" and not done:
            np.save(folder / "queries.npy", np.ones((24, 8), np.float32))

    with open_database(folder, progress=write_over) as database, pytest.raises(DatabaseError) as raised:
        database.queries(1)
    assert "queries.npy is being written to at this moment." in str(raised.value)


@pytest.mark.parametrize("rows", [2, 24, 50])
def test_rows_of_a_file_that_was_written_over_are_never_touched(folder: Path, rows: int) -> None:
    with open_database(folder) as database:
        _, queries = database.queries(1)
    np.save(folder / "queries.npy", np.zeros((rows, 8), np.float32))
    with pytest.raises(DatabaseError, match="being written to"):
        queries[np.array([20])]


def test_rows_of_a_file_that_was_replaced_stay_as_they_were(folder: Path, tmp_path: Path) -> None:
    before = np.load(folder / "queries.npy")
    with open_database(folder) as database:
        _, queries = database.queries(1)
    np.save(tmp_path / "new.npy", np.zeros((2, 8), np.float32))
    (tmp_path / "new.npy").replace(folder / "queries.npy")
    np.testing.assert_array_equal(queries[3:], before[3:])


def test_it_is_known_by_its_content(folder: Path, tmp_path: Path) -> None:
    def identity(path: Path, mh_id: int = 1) -> str:
        with open_database(path) as database:
            return content_sha256(read_questions(database, mh_id))

    before = identity(folder)
    moved = folder.rename(tmp_path / "moved")
    assert identity(moved) == before != identity(moved, 2)
    (moved / "heads.jsonl").unlink()
    assert identity(moved) == before
    for damage in (put("queries.npy", 3, 1.0), line("queries.jsonl", 1, '{"head": 2}')):
        damage(moved)
        changed = identity(moved)
        assert changed != before
        before = changed


def test_nothing_is_written_to_it(folder: Path) -> None:
    before, parent = snapshot(folder), folder.stat().st_mtime_ns
    everything(folder)
    assert (snapshot(folder), folder.stat().st_mtime_ns) == (before, parent)


def test_what_opens_is_told_from_other_folders(folder: Path, tmp_path: Path) -> None:
    database = write_lda_db(tmp_path / "db")
    assert is_vector_folder(folder)
    assert [is_database(path) for path in (folder, database, database.parent, tmp_path / "no")] == [
        True,
        True,
        False,
        False,
    ]
    assert "Open " + str(database) in told(database.parent)
    assert "or a folder with centroids.npy, answers.npy and queries.npy" in told(tmp_path)


def test_the_example_of_the_readme_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## A folder of vectors")[2].partition("\n## ")[0]
    code = section.partition("```python\n")[2].partition("```")[0]
    rng = np.random.default_rng(0)
    given = {
        "centroids": rng.normal(size=(3, 4)),
        "answers": rng.normal(size=(3, 4)),
        "queries": rng.normal(size=(12, 4)),
        "np": np,
        "pathlib": pathlib,
    }
    monkeypatch.chdir(tmp_path)
    exec(code, given)
    for name, count in (("queries", 12), ("heads", 3)):
        example = re.search(rf"`{name}.jsonl` has\s+`(.*?)`", section)
        assert example is not None
        (tmp_path / f"vectors/{name}.jsonl").write_text(f"{example[1].replace('12', '2')}\n" * count)
    everything(tmp_path / "vectors")
    with open_database(tmp_path / "vectors") as database:
        assert [projection.temperature for projection in database.projections()] == [0.1, 0.05]
        assert database.questions()[4].cluster_ids == (2,)
        assert [head.cluster_name for head in database.heads(1)] == ["a name"] * 3
