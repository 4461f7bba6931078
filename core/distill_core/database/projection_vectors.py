"""The vectors that belong to a projection: its heads', and those of its own embedding model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from distill_core.database.records import Projection
from distill_core.database.rows import HeadRow, read_heads, read_vector_paths
from distill_core.database.schema import Tables
from distill_core.database.vector_store import Located, VectorStore
from distill_core.database.vectors import Vectors
from distill_core.errors import DatabaseError

EntityType = Literal["question", "answer"]


class ProjectionVectors:
    """Loads the vectors of the projections of one database, never those of another model."""

    def __init__(self, tables: Tables, store: VectorStore) -> None:
        self._tables = tables
        self._store = store

    def centroids(self, projection: Projection) -> Vectors:
        """Return the centroids (N, d) in the order of the heads.

        Raises:
            DatabaseError: The projection has no heads.
            VectorError: One is missing or unusable.
        """
        paths = [row.centroid_path for row in self._heads(projection)]
        return self._store.load(paths, projection.dimension, "centroids")

    def head_answers(self, projection: Projection) -> Vectors:
        """Return the answer embeddings (N, d) of the heads, in the order of the heads; raises likewise."""
        paths = [row.answer_path for row in self._heads(projection)]
        return self._store.load(paths, projection.dimension, "head answers")

    def embeddings(
        self, projection: Projection, entity_type: EntityType
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ids (n,), ascending, and the vectors (n, d) of the model's questions or answers.

        Raises:
            DatabaseError: The model has none.
            VectorError: One is missing or unusable.
        """
        paths = read_vector_paths(self._tables, projection.model_id, entity_type)
        if not paths:
            model = projection.model or f"model {projection.model_id}"
            raise DatabaseError(
                f"{self._tables.path} has no {entity_type} vectors of {model}, the model of projection "
                f"{projection.id}.",
                f"Embed the {entity_type}s with this model first.",
            )
        vectors = self._store.load(tuple(paths.values()), projection.dimension, f"{entity_type} vectors")
        return np.fromiter(paths, np.int64, len(paths)), vectors

    def stored_paths(self, projection: Projection) -> tuple[str, ...]:
        """Return the stored paths of all of them."""
        heads = read_heads(self._tables, projection.id)
        return (
            *(row.centroid_path for row in heads),
            *(row.answer_path for row in heads),
            *read_vector_paths(self._tables, projection.model_id, "question").values(),
            *read_vector_paths(self._tables, projection.model_id, "answer").values(),
        )

    def locate(self, projection: Projection) -> Located:
        """Look for the files of all of them."""
        return self._store.locate(self.stored_paths(projection))

    def _heads(self, projection: Projection) -> tuple[HeadRow, ...]:
        heads = read_heads(self._tables, projection.id)
        if not heads:
            raise DatabaseError(
                f"Projection {projection.id} of {self._tables.path} has no heads.",
                "Choose another projection.",
            )
        return heads
