"""The bundled demo as arrays, and how it is written: `lda.db` with its `embeddings/*.npy`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scripts.demo.content import Cluster
from scripts.demo.heads import Score, Vectors, answer_embedding, centroid, score
from scripts.demo.schema import SCHEMA

MODEL_ID = 1
CREATED_AT = "2026-01-01 00:00:00"
TEXT_VARIANTS = ("default", "short")


@dataclass(frozen=True)
class Projection:
    """A row of `multi_head_projections` before it is scored."""

    id: int
    name: str
    temperature: float


PROJECTIONS = (
    Projection(1, "recommended (tau 0.1)", 0.1),
    Projection(2, "default, blends everything (tau 1.0)", 1.0),
    Projection(3, "sharp, nearly one head (tau 0.03)", 0.03),
)


@dataclass(frozen=True)
class Bundle:
    """The clusters with their vectors; rows are in the order of the clusters.

    Attributes:
        clusters: N of them.
        questions: (n, d) embeddings.
        answers: (m, d) embeddings.
        question_cluster: (n,) index of each question's cluster.
        answer_cluster: (m,) index of each answer's cluster.
    """

    clusters: list[Cluster]
    questions: Vectors
    answers: Vectors
    question_cluster: NDArray[np.intp]
    answer_cluster: NDArray[np.intp]

    def heads(self) -> tuple[Vectors, Vectors]:
        """Return the centroids (N, d) and the answer embeddings (N, d)."""
        numbers = range(len(self.clusters))
        centroids = [centroid(self.questions[self.question_cluster == number]) for number in numbers]
        answers = [answer_embedding(self.answers[self.answer_cluster == number]) for number in numbers]
        return np.stack(centroids), np.stack(answers)

    def score(self, projection: Projection) -> Score:
        """Return what the projection achieves over all questions."""
        true = self.question_cluster[:, None] == self.answer_cluster[None, :]
        return score(self.questions, self.answers, true, self.heads(), projection.temperature)


def write_bundle(bundle: Bundle, folder: Path) -> None:
    """Write the database and its vectors, replacing those of an earlier build."""
    vectors = folder / "embeddings"
    vectors.mkdir(parents=True, exist_ok=True)
    for old in (*vectors.glob("*.npy"), folder / "lda.db"):
        old.unlink(missing_ok=True)
    with closing(sqlite3.connect(folder / "lda.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.executescript(SCHEMA)
        _insert_texts(connection, bundle)
        _insert_embeddings(connection, bundle, folder)
        _insert_projections(connection, bundle, folder)
        connection.commit()
        connection.execute("VACUUM")


def _insert(connection: sqlite3.Connection, table: str, **values: object) -> None:
    columns = ", ".join(values)
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(values.values()))


def _insert_texts(connection: sqlite3.Connection, bundle: Bundle) -> None:
    answer_id = question_id = 0
    for cluster_id, cluster in enumerate(bundle.clusters, start=1):
        _insert(
            connection,
            "qa_clusters",
            cluster_id=cluster_id,
            name=cluster.name,
            description=cluster.description,
            created_at=CREATED_AT,
        )
        for length, text in cluster.questions:
            question_id += 1
            _insert(
                connection,
                "questions",
                question_id=question_id,
                text=text,
                length_type=length,
                created_at=CREATED_AT,
            )
            _insert(connection, "cluster_questions", cluster_id=cluster_id, question_id=question_id)
        _insert_answers(connection, cluster, cluster_id, first_id=answer_id + 1)
        answer_id += len(cluster.answers)


def _insert_answers(connection: sqlite3.Connection, cluster: Cluster, cluster_id: int, first_id: int) -> None:
    for answer_id, (variant, text) in enumerate(zip(TEXT_VARIANTS, cluster.answers, strict=True), first_id):
        _insert(
            connection,
            "answers",
            answer_id=answer_id,
            source_file=cluster.source,
            record_id=cluster.name,
            text=text,
            text_variant=variant,
            created_at=CREATED_AT,
        )
        _insert(connection, "cluster_answers", cluster_id=cluster_id, answer_id=answer_id)
    _insert(
        connection,
        "answer_relations",
        from_answer_id=first_id + 1,
        to_answer_id=first_id,
        relation_type="variant_of",
    )


def _insert_embeddings(connection: sqlite3.Connection, bundle: Bundle, folder: Path) -> None:
    _insert(
        connection,
        "embedding_models",
        model_id=MODEL_ID,
        name="all-MiniLM-L6-v2",
        dimension=bundle.questions.shape[1],
        backend="python",
        max_tokens=256,
        notes="sentence-transformers",
    )
    for kind, rows in (("answer", bundle.answers), ("question", bundle.questions)):
        for entity_id, vector in enumerate(rows, start=1):
            path = f"embeddings/{kind}_{entity_id}_model_{MODEL_ID}.npy"
            np.save(folder / path, vector)
            _insert(
                connection,
                "embeddings",
                model_id=MODEL_ID,
                entity_type=kind,
                entity_id=entity_id,
                vector_path=path,
                created_at=CREATED_AT,
            )


def _insert_projections(connection: sqlite3.Connection, bundle: Bundle, folder: Path) -> None:
    for projection in PROJECTIONS:
        scored = bundle.score(projection)
        _insert(
            connection,
            "multi_head_projections",
            mh_projection_id=projection.id,
            model_id=MODEL_ID,
            name=projection.name,
            temperature=projection.temperature,
            num_heads=len(bundle.clusters),
            recall_at_1=scored.recall_at_1,
            mrr=scored.mrr,
            created_at=CREATED_AT,
        )
        _insert_heads(connection, bundle, projection, folder)


def _insert_heads(
    connection: sqlite3.Connection, bundle: Bundle, projection: Projection, folder: Path
) -> None:
    sizes = np.bincount(bundle.question_cluster)
    for cluster_id, (centre, answer) in enumerate(zip(*bundle.heads(), strict=True), start=1):
        stem = f"embeddings/mh_{projection.id}_cluster_{cluster_id}"
        np.save(folder / f"{stem}_centroid.npy", centre)
        np.save(folder / f"{stem}_answer.npy", answer)
        _insert(
            connection,
            "cluster_heads",
            mh_projection_id=projection.id,
            cluster_id=cluster_id,
            centroid_path=f"{stem}_centroid.npy",
            answer_emb_path=f"{stem}_answer.npy",
            num_questions=int(sizes[cluster_id - 1]),
            created_at=CREATED_AT,
        )
