"""From stored paths to checked vectors of one projection: find the files, use the cache, else read them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from distill_core.database.cache import VectorCache
from distill_core.database.paths import FoundFile, PathRules
from distill_core.database.records import Progress, Projection, Remapping, untold
from distill_core.database.rows import HeadRow, read_heads, read_vector_paths
from distill_core.database.schema import Tables
from distill_core.database.vectors import Vectors, read_vectors
from distill_core.errors import DatabaseError, VectorError

_ATTEMPTS = 3
"""Readings of vectors of which some change meanwhile."""


class Located(NamedTuple):
    """The files of some stored paths, and the stored paths without a file, both in the order given."""

    found: tuple[FoundFile, ...]
    missing: tuple[str, ...]

    def remapping(self) -> Remapping:
        """Return how they were found."""
        places = Counter(file.folder for file in self.found if not file.as_stored)
        remapped = places.total()
        return Remapping(
            as_stored=len(self.found) - remapped,
            remapped=remapped,
            missing=self.missing,
            places=tuple(Path(folder) for folder, _ in places.most_common()),
        )


class VectorStore:
    """The vector files of one database.

    Args:
        database: Its path.
        cache: Keeps packed vectors.
        at_once: Whether everything is read in one go, so that what was found and read is not sought again.
            Otherwise nothing is remembered from one look to the next.
        progress: Is told how many files are read.
    """

    def __init__(
        self, database: Path, cache: VectorCache, *, at_once: bool = False, progress: Progress = untold
    ) -> None:
        self._database = database
        self._cache = cache
        self._at_once, self._progress = at_once, progress
        self._rules: PathRules | None = None
        self._located: dict[tuple[str, ...], Located] = {}
        self._loaded: dict[tuple[tuple[str, ...], int], Vectors] = {}

    def locate(self, stored_paths: Sequence[str]) -> Located:
        """Look for the files."""
        if not self._at_once:
            return self._look(stored_paths, PathRules(self._database))
        self._rules = self._rules or PathRules(self._database)
        key = tuple(stored_paths)
        if key not in self._located:
            self._located[key] = self._look(key, self._rules)
        return self._located[key]

    def _look(self, stored_paths: Sequence[str], rules: PathRules) -> Located:
        looked_up = [(stored, rules.find(stored)) for stored in stored_paths]
        return Located(
            tuple(file for _, file in looked_up if file is not None),
            tuple(stored for stored, file in looked_up if file is None),
        )

    def load(self, stored_paths: Sequence[str], dimension: int, kind: str) -> Vectors:
        """Return the vectors of the stored paths, in order, of shape (len(stored_paths), dimension).

        Args:
            stored_paths: As the database gives them.
            dimension: d of the model.
            kind: What they are, for the message: "question vectors".

        Raises:
            VectorError: Some are missing, one cannot be read or is not a usable vector, or another program
                keeps on writing to them.
        """
        key = (tuple(stored_paths), dimension)
        if key in self._loaded:
            return self._loaded[key]
        located = self.locate(stored_paths)
        for _ in range(_ATTEMPTS):
            if located.missing:
                raise self._missing(located, kind)
            vectors = self._cache.load(located.found, dimension)
            if vectors is not None:
                return self._kept(key, vectors)
            try:
                vectors = read_vectors(located.found, dimension, partial(self._progress, kind))
            except VectorError:
                before, located = located, self._look(stored_paths, PathRules(self._database))
                if located == before:
                    raise
                continue
            before, located = located, self._look(stored_paths, PathRules(self._database))
            if located == before:
                self._cache.store(located.found, vectors)
                return self._kept(key, vectors)
        raise VectorError(
            f"The {kind} of {self._database} are being written to at this moment.",
            "Open it again when the other program has finished.",
        )

    def _kept(self, key: tuple[tuple[str, ...], int], vectors: Vectors) -> Vectors:
        if self._at_once:
            self._loaded[key] = vectors
        return vectors

    def _missing(self, located: Located, kind: str) -> VectorError:
        number, total = len(located.missing), len(located.missing) + len(located.found)
        first = located.missing[0] or "an empty path"
        folder = self._database.parent
        return VectorError(
            f"{number} of {total} {kind} are missing, the first is {first}: looked there, in {folder} and in "
            f"{folder / 'embeddings'}.",
            "Copy the embeddings folder beside the database.",
        )


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
        """Look for the files of all of them, kind by kind, as they are loaded."""
        heads = read_heads(self._tables, projection.id)
        parts = (
            [row.centroid_path for row in heads],
            [row.answer_path for row in heads],
            list(read_vector_paths(self._tables, projection.model_id, "question").values()),
            list(read_vector_paths(self._tables, projection.model_id, "answer").values()),
        )
        located = [self._store.locate(part) for part in parts]
        return Located(
            tuple(file for part in located for file in part.found),
            tuple(path for part in located for path in part.missing),
        )

    def _heads(self, projection: Projection) -> tuple[HeadRow, ...]:
        heads = read_heads(self._tables, projection.id)
        if not heads:
            raise DatabaseError(
                f"Projection {projection.id} of {self._tables.path} has no heads.",
                "Choose another projection.",
            )
        return heads
