"""Writes small synthetic databases, in the published schema and as folders of vectors, for any test.

    database = write_lda_db(tmp_path, num_heads=6, dimension=16, temperatures=(0.1,))

Everything is seeded. Questions of a cluster scatter around its centre, its centroid is their mean, and
answers are not normalised, so a teacher at tau 0.1 routes most queries to their own cluster.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

PathStyle = Literal["beside", "stale", "absolute"]

SCHEMA = """
CREATE TABLE embedding_models (model_id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,
    dimension INTEGER NOT NULL, backend TEXT, max_tokens INTEGER, notes TEXT);
CREATE TABLE questions (question_id INTEGER PRIMARY KEY, text TEXT NOT NULL,
    length_type TEXT CHECK(length_type IN ('short', 'medium', 'long')), created_at TIMESTAMP);
CREATE TABLE answers (answer_id INTEGER PRIMARY KEY, parent_id INTEGER, source_file TEXT NOT NULL,
    record_id TEXT, text TEXT NOT NULL, text_variant TEXT DEFAULT 'default', chunk_index INTEGER,
    created_at TIMESTAMP);
CREATE TABLE qa_clusters (cluster_id INTEGER PRIMARY KEY, name TEXT, description TEXT, created_at TIMESTAMP);
CREATE TABLE cluster_questions (cluster_id INTEGER, question_id INTEGER,
    PRIMARY KEY (cluster_id, question_id));
CREATE TABLE cluster_answers (cluster_id INTEGER, answer_id INTEGER, PRIMARY KEY (cluster_id, answer_id));
CREATE TABLE embeddings (embedding_id INTEGER PRIMARY KEY, model_id INTEGER,
    entity_type TEXT CHECK(entity_type IN ('answer', 'question')), entity_id INTEGER,
    vector_path TEXT NOT NULL, created_at TIMESTAMP, UNIQUE(model_id, entity_type, entity_id));
CREATE TABLE multi_head_projections (mh_projection_id INTEGER PRIMARY KEY, model_id INTEGER, name TEXT,
    temperature REAL DEFAULT 1.0, num_heads INTEGER, recall_at_1 REAL, mrr REAL, created_at TIMESTAMP);
CREATE TABLE cluster_heads (head_id INTEGER PRIMARY KEY, mh_projection_id INTEGER, cluster_id INTEGER,
    centroid_path TEXT NOT NULL, answer_emb_path TEXT NOT NULL, W_path TEXT, num_questions INTEGER,
    created_at TIMESTAMP, UNIQUE(mh_projection_id, cluster_id));
"""
"""The tables of the published schema that matter, with its types, defaults and constraints."""

STALE_FOLDER = "playbooks/lda-training-data/embeddings"
_CREATED = "2026-01-02 03:04:05"


def write_lda_db(
    folder: Path,
    *,
    num_heads: int = 4,
    dimension: int | Sequence[int] = 8,
    questions_per_head: int = 4,
    answers_per_head: int = 1,
    temperatures: Sequence[float] = (0.1, 1.0),
    dtype: DTypeLike = np.float32,
    path_style: PathStyle = "stale",
    seed: int = 0,
) -> Path:
    """Write `folder/lda.db` and `folder/embeddings/*.npy`.

    Ids count from 1: clusters 1 to num_heads; questions 1 to num_heads * questions_per_head, cluster by
    cluster; answers likewise. Each model has one projection for each temperature; the ids of the projections
    go on from model to model, so with two models and two temperatures model 2 has projections 3 and 4.

    Args:
        folder: Made if it is not there.
        num_heads: N, the number of clusters.
        dimension: d, or several for as many embedding models, each with vectors of its own.
        questions_per_head: Queries of each cluster.
        answers_per_head: Answers of each cluster, to retrieve from.
        temperatures: tau of each projection of a model.
        dtype: Type of the numbers in the files.
        path_style: What the database says of the files: "stale", in a working directory that does not exist,
            as users' databases do; "beside", relative to the database; or "absolute".
        seed: Of everything random.

    Returns:
        The path of the database.
    """
    (folder / "embeddings").mkdir(parents=True, exist_ok=True)
    database = folder / "lda.db"
    connection = sqlite3.connect(database)
    connection.executescript(SCHEMA)
    clusters = _Clusters(num_heads, questions_per_head, answers_per_head)
    _write_texts(connection, clusters)
    rng = np.random.default_rng(seed)
    dimensions = [dimension] if isinstance(dimension, int) else list(dimension)
    for model_id, size in enumerate(dimensions, start=1):
        files = _VectorFiles(folder, path_style, np.dtype(dtype))
        _write_model(connection, files, clusters, _Model(model_id, size, tuple(temperatures)), rng)
    connection.commit()
    connection.close()
    return database


def write_vector_folder(
    folder: Path,
    *,
    num_heads: int = 4,
    dimension: int = 8,
    questions_per_head: int = 6,
    temperatures: Sequence[float] = (0.1, 1.0),
    dtype: DTypeLike = np.float32,
    texts: bool = True,
    seed: int = 0,
) -> Path:
    """Write a folder of vectors: questions scatter around the centroids, head by head; return the folder.

    Args:
        folder: Made if it is not there.
        num_heads: N; head k is called "topic k".
        dimension: d.
        questions_per_head: Queries of each head, in the order of the heads.
        temperatures: tau of each projection.
        dtype: Of the numbers in the files.
        texts: Whether there are `heads.jsonl`, `queries.jsonl` and `teacher.toml`.
        seed: Of everything random.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    centroids = _unit(rng.normal(size=(num_heads, dimension)))
    own = np.repeat(np.arange(num_heads), questions_per_head)
    np.save(folder / "centroids.npy", centroids.astype(dtype))
    np.save(folder / "answers.npy", (1.5 * rng.normal(size=centroids.shape)).astype(dtype))
    np.save(
        folder / "queries.npy", (centroids[own] + 0.2 * rng.normal(size=(len(own), dimension))).astype(dtype)
    )
    if texts:
        heads = [{"title": f"topic {head}", "text": f"answer {head}"} for head in range(num_heads)]
        asked = [
            {"text": f"question {row} about topic {head}", "head": head}
            for row, head in enumerate(own.tolist())
        ]
        for name, lines in (("heads.jsonl", heads), ("queries.jsonl", asked)):
            (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
        (folder / "teacher.toml").write_text(f'temperatures = {list(temperatures)}\nmodel = "model-1"\n')
    return folder


@dataclass(frozen=True)
class _Clusters:
    num_heads: int
    questions_per_head: int
    answers_per_head: int

    def questions(self, cluster: int) -> range:
        return range((cluster - 1) * self.questions_per_head + 1, cluster * self.questions_per_head + 1)

    def answers(self, cluster: int) -> range:
        return range((cluster - 1) * self.answers_per_head + 1, cluster * self.answers_per_head + 1)


@dataclass(frozen=True)
class _Model:
    id: int
    dimension: int
    temperatures: tuple[float, ...]

    def projections(self) -> list[tuple[int, float]]:
        first = (self.id - 1) * len(self.temperatures) + 1
        return list(enumerate(self.temperatures, start=first))


@dataclass(frozen=True)
class _VectorFiles:
    folder: Path
    path_style: PathStyle
    dtype: np.dtype[np.generic]

    def write(self, name: str, vector: NDArray[np.float64]) -> str:
        """Write one file and return the path that the database shall store for it."""
        path = self.folder / "embeddings" / name
        np.save(path, vector.astype(self.dtype))
        stored = {
            "beside": f"embeddings/{name}",
            "stale": f"{STALE_FOLDER}/{name}",
            "absolute": str(path.absolute()),
        }
        return stored[self.path_style]


def _write_texts(connection: sqlite3.Connection, clusters: _Clusters) -> None:
    for cluster in range(1, clusters.num_heads + 1):
        connection.execute(
            "INSERT INTO qa_clusters VALUES (?, ?, ?, ?)", (cluster, f"topic_{cluster}", "a topic", _CREATED)
        )
        for question in clusters.questions(cluster):
            words = f"question {question} about topic {cluster}"
            connection.execute("INSERT INTO questions VALUES (?, ?, 'short', ?)", (question, words, _CREATED))
            connection.execute("INSERT INTO cluster_questions VALUES (?, ?)", (cluster, question))
        for answer in clusters.answers(cluster):
            connection.execute(
                "INSERT INTO answers (answer_id, source_file, text) VALUES (?, 'topics.md', ?)",
                (answer, f"answer {answer} about topic {cluster}"),
            )
            connection.execute("INSERT INTO cluster_answers VALUES (?, ?)", (cluster, answer))


def _write_model(
    connection: sqlite3.Connection,
    files: _VectorFiles,
    clusters: _Clusters,
    model: _Model,
    rng: np.random.Generator,
) -> None:
    connection.execute(
        "INSERT INTO embedding_models (model_id, name, dimension) VALUES (?, ?, ?)",
        (model.id, f"model-{model.id}", model.dimension),
    )
    heads = {}
    for cluster in range(1, clusters.num_heads + 1):
        centre = rng.normal(size=model.dimension)
        queries = _unit(centre + 0.3 * rng.normal(size=(clusters.questions_per_head, model.dimension)))
        answers = 1.5 * _unit(centre + 0.6 * rng.normal(size=(clusters.answers_per_head, model.dimension)))
        _write_embeddings(
            connection,
            files,
            model.id,
            "question",
            dict(zip(clusters.questions(cluster), queries, strict=True)),
        )
        _write_embeddings(
            connection, files, model.id, "answer", dict(zip(clusters.answers(cluster), answers, strict=True))
        )
        heads[cluster] = (_mean(queries, centre), _mean(answers, centre))
    for mh_id, temperature in model.projections():
        _write_projection(
            connection, files, (mh_id, model.id, temperature), heads, clusters.questions_per_head
        )


def _write_embeddings(
    connection: sqlite3.Connection,
    files: _VectorFiles,
    model_id: int,
    entity_type: str,
    vectors: dict[int, NDArray[np.float64]],
) -> None:
    for entity_id, vector in vectors.items():
        stored = files.write(f"{entity_type}_{entity_id}_model_{model_id}.npy", vector)
        connection.execute(
            "INSERT INTO embeddings (model_id, entity_type, entity_id, vector_path) VALUES (?, ?, ?, ?)",
            (model_id, entity_type, entity_id, stored),
        )


def _write_projection(
    connection: sqlite3.Connection,
    files: _VectorFiles,
    projection: tuple[int, int, float],
    heads: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]],
    num_questions: int,
) -> None:
    mh_id, model_id, temperature = projection
    connection.execute(
        "INSERT INTO multi_head_projections VALUES (?, ?, ?, ?, ?, NULL, NULL, ?)",
        (mh_id, model_id, f"projection {mh_id}", temperature, len(heads), _CREATED),
    )
    for cluster, (centroid, answer) in heads.items():
        connection.execute(
            "INSERT INTO cluster_heads VALUES (NULL, ?, ?, ?, ?, NULL, ?, ?)",
            (
                mh_id,
                cluster,
                files.write(f"mh_{mh_id}_cluster_{cluster}_centroid.npy", centroid),
                files.write(f"mh_{mh_id}_cluster_{cluster}_answer.npy", answer),
                num_questions,
                _CREATED,
            ),
        )


def _mean(vectors: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = vectors.mean(axis=0) if len(vectors) else otherwise
    return mean


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
