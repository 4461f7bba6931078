from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core import teacher_data
from distill_core.config import DataConfig, SplitConfig
from distill_core.database import LdaDatabase
from distill_core.errors import SettingsError
from distill_core.teacher_data import (
    LabelledQuestions,
    load_teacher_data,
    read_questions,
    split_clusters,
    split_queries,
)
from tests.core.database_factory import write_lda_db, write_vector_folder

Floats = NDArray[np.float64]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """4 heads, d = 8, 20 questions and 12 answers; tau is 0.1 in projection 1, and 1 in projection 2."""
    return write_lda_db(
        tmp_path / "db",
        questions_per_head=5,
        answers_per_head=3,
        temperatures=(0.1, 1.0),
        path_style="beside",
    )


def read(database: Path, temperature: float | None = None) -> LabelledQuestions:
    with LdaDatabase(database) as opened:
        return read_questions(opened, 1, temperature)


def change(database: Path, *statements: str) -> None:
    connection = sqlite3.connect(database)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def vectors(database: Path, pattern: str, numbers: range) -> Floats:
    files = [database.parent / "embeddings" / pattern.format(number) for number in numbers]
    return np.stack([np.load(file).astype(np.float64) for file in files])


def labels_by_formula(database: Path, temperature: float) -> Floats:
    queries = vectors(database, "question_{}_model_1.npy", range(1, 21))
    centroids = vectors(database, "mh_1_cluster_{}_centroid.npy", range(1, 5))
    answers = vectors(database, "mh_1_cluster_{}_answer.npy", range(1, 5))
    labels = []
    for query in queries:
        cosines = [q @ query / np.linalg.norm(q) / np.linalg.norm(query) for q in centroids]
        weights = np.exp(np.array(cosines) / temperature)
        labels.append(weights @ answers / weights.sum())
    return np.array(labels)


def test_everything_known_of_the_questions(database: Path) -> None:
    labelled = read(database)
    assert labelled.question_ids.tolist() == list(range(1, 21))
    np.testing.assert_array_equal(
        labelled.queries, vectors(database, "question_{}_model_1.npy", range(1, 21)).astype(np.float32)
    )
    assert labelled.clusters.tolist() == [1] * 5 + [2] * 5 + [3] * 5 + [4] * 5
    assert labelled.answers is not None
    assert labelled.answers.ids.tolist() == list(range(1, 13))
    directions = vectors(database, "answer_{}_model_1.npy", range(1, 13))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    np.testing.assert_allclose(labelled.answers.directions, directions, rtol=1e-6, atol=1e-9)
    of_cluster = [{1, 2, 3}, {4, 5, 6}, {7, 8, 9}, {10, 11, 12}]
    assert [set(ids) for ids in labelled.true_answers] == [ids for ids in of_cluster for _ in range(5)]


@pytest.mark.parametrize(("asked", "used"), [(None, 0.1), (0.1, 0.1), (0.37, 0.37), (5.0, 5.0)])
def test_the_labels_are_the_teachers_at_the_temperature_asked_for(
    database: Path, asked: float | None, used: float
) -> None:
    data = load_teacher_data(DataConfig(database=str(database), temperature=asked), SplitConfig())
    assert data.teacher.temperature == used
    np.testing.assert_allclose(data.targets, labels_by_formula(database, used), rtol=1e-4, atol=1e-5)
    if used != 0.1:
        assert np.abs(data.targets - labels_by_formula(database, 0.1)).max() > 0.01


def test_a_temperature_that_is_no_number_is_refused(database: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(database, float("nan"))
    assert caught.value.field == "temperature"


def test_questions_without_a_cluster_get_labels_of_their_own_and_no_true_answer(database: Path) -> None:
    change(database, "DELETE FROM cluster_questions WHERE question_id IN (2, 3, 20)")
    labelled = read(database)
    alone = labelled.clusters[[1, 2, 19]].tolist()
    assert all(label < 0 for label in alone)
    assert len(set(alone)) == 3
    assert labelled.clusters[[0, 3, 4, 5]].tolist() == [1, 1, 1, 2]
    assert [labelled.true_answers[row] for row in (1, 2, 19)] == [frozenset()] * 3
    assert labelled.true_answers[0] == {1, 2, 3}


def test_a_question_of_two_clusters_counts_to_the_first_and_has_the_answers_of_both(database: Path) -> None:
    change(database, "INSERT INTO cluster_questions VALUES (2, 20), (3, 1)")
    labelled = read(database)
    assert labelled.clusters[[0, 19]].tolist() == [1, 2]
    assert labelled.true_answers[0] == {1, 2, 3, 7, 8, 9}
    assert labelled.true_answers[19] == {4, 5, 6, 10, 11, 12}


@pytest.mark.parametrize("damage", ["nan", "dimension", "missing", "none"])
def test_unusable_answers_leave_nothing_to_retrieve_and_everything_else(database: Path, damage: str) -> None:
    file = database.parent / "embeddings" / "answer_7_model_1.npy"
    if damage == "missing":
        file.unlink()
    elif damage == "none":
        change(database, "DELETE FROM embeddings WHERE entity_type = 'answer'")
    else:
        np.save(file, np.full(8 if damage == "nan" else 7, np.nan if damage == "nan" else 1.0, np.float32))
    data = load_teacher_data(DataConfig(database=str(database)), SplitConfig())
    assert data.labelled.answers is None
    assert len(data.queries) == 20
    held_out = data.held_out(data.split.test)
    assert held_out.answers is None
    assert len(held_out.queries) == 4


@pytest.mark.parametrize("seed", [0, 3])
def test_the_split_is_the_one_that_the_settings_name(database: Path, seed: int) -> None:
    config = DataConfig(database=str(database))
    settings = SplitConfig(validation_fraction=0.25, test_fraction=0.3)
    shares = {"validation_fraction": 0.25, "test_fraction": 0.3}
    by_query = load_teacher_data(config, settings.with_values(split="query", split_seed=seed)).split
    by_cluster = load_teacher_data(config, settings.with_values(split="cluster", split_seed=seed)).split
    clusters = np.repeat([1, 2, 3, 4], 5)
    for split, expected in (
        (by_query, split_queries(20, **shares, seed=seed)),
        (by_cluster, split_clusters(clusters, **shares, seed=seed)),
    ):
        assert split.train.tolist() == expected.train.tolist()
        assert split.validation.tolist() == expected.validation.tolist()
        assert split.test.tolist() == expected.test.tolist()
    assert (len(by_query.test), len(by_query.validation)) == (6, 5)
    assert (len(by_cluster.test), len(by_cluster.validation)) == (5, 5)


def test_the_held_out_part_is_compared_with_the_training_part_alone(database: Path) -> None:
    data = load_teacher_data(DataConfig(database=str(database)), SplitConfig(split_seed=1))
    rows = data.split.validation[::-1]
    held_out = data.held_out(rows)
    np.testing.assert_array_equal(held_out.train_queries, data.queries[data.split.train])
    np.testing.assert_array_equal(held_out.train_targets, data.targets[data.split.train])
    np.testing.assert_array_equal(held_out.queries, data.queries[rows])
    np.testing.assert_array_equal(held_out.targets, data.targets[rows])
    assert held_out.clusters.tolist() == [1 + row // 5 for row in rows.tolist()]
    assert [min(ids) for ids in held_out.true_answers] == [1 + 3 * (row // 5) for row in rows.tolist()]


def test_of_many_questions_a_sample_of_clusters_is_labelled_and_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_vector_folder(tmp_path, num_heads=20, questions_per_head=5)
    monkeypatch.setattr(teacher_data, "_MAX_LABELS", 40 * 20)
    monkeypatch.setattr(teacher_data, "_FEWEST_LABELS", 40)
    data = load_teacher_data(DataConfig(database=str(folder)), SplitConfig())
    rows = np.sort(np.concatenate((data.split.train, data.split.validation, data.split.test)))
    assert len(rows) == 40
    assert np.unique(rows // 5, return_counts=True)[1].tolist() == [5] * 8, "whole clusters"
    np.testing.assert_allclose(
        data.targets[rows], data.teacher.project(data.queries[rows]), rtol=1e-5, atol=1e-6
    )
    untouched = np.setdiff1d(np.arange(100), rows)
    assert not data.targets[untouched].any()
    assert load_teacher_data(DataConfig(database=str(folder)), SplitConfig()).split.test.tolist() == (
        data.split.test.tolist()
    )
