"""The one way into an `lda.db`: what it holds, its teacher and its queries. Nothing is ever written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from distill_core.database import rows
from distill_core.database.cache import VectorCache
from distill_core.database.connection import LOG_SUFFIXES, ReadOnlyConnection, absolute_path
from distill_core.database.paths import stamp_of
from distill_core.database.problems import find_problems, place_warnings
from distill_core.database.records import (
    Answer,
    EmbeddingModel,
    Head,
    Problem,
    Progress,
    Projection,
    Question,
    Remapping,
    untold,
)
from distill_core.database.rows import find_projection, list_projections, stored_temperature
from distill_core.database.schema import Tables
from distill_core.database.vector_store import ProjectionVectors, VectorStore
from distill_core.errors import DatabaseError

if TYPE_CHECKING:
    from distill_core.teacher import MultiHeadLDA


class LdaDatabase:
    """An open `lda.db`. Any thread may use it. Close it, or use it as a context manager.

    Whatever is in the files, what is raised is a DatabaseError (or its subclasses VectorError and
    ProjectionNotFoundError): one sentence that names the file or the row, and a hint.

    Attributes:
        path: The absolute path of the database.

    Args:
        path: The database; `~` is expanded.
        cache_dir: Where packed vectors are kept; see `VectorCache`.
        at_once: Whether all questions are about one moment, so that what was read is not read again;
            otherwise each looks for the vector files anew.
        progress: Is told how far a reading is.

    Raises:
        DatabaseError: It cannot be opened, is no SQLite file, or has another schema.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        cache_dir: Path | None = None,
        at_once: bool = False,
        progress: Progress = untold,
    ) -> None:
        self.path = absolute_path(path)
        connection = ReadOnlyConnection(self.path)
        try:
            self._tables = Tables(connection)
        except DatabaseError:
            connection.close()
            raise
        store = VectorStore(self.path, VectorCache(cache_dir), at_once=at_once, progress=progress)
        self._vectors = ProjectionVectors(self._tables, store)

    def models(self) -> tuple[EmbeddingModel, ...]:
        """Return the embedding models, ordered by id."""
        return rows.read_models(self._tables)

    def projections(self) -> tuple[Projection, ...]:
        """Return the projections that can be read, ordered by id; `problems` names the others.

        Raises:
            DatabaseError: There are projections, but none of them can be read.
        """
        return list_projections(self._tables)

    def projection(self, mh_id: int) -> Projection:
        """Return one projection.

        Raises:
            ProjectionNotFoundError: There is none of this number; the message names those there are.
            DatabaseError: Its row cannot be read.
        """
        return find_projection(self._tables, mh_id)

    def heads(self, mh_id: int) -> tuple[Head, ...]:
        """Return the heads of a projection, ordered by cluster; none if it has none."""
        return tuple(row.head for row in rows.read_heads(self._tables, self.projection(mh_id).id))

    def teacher(self, mh_id: int, *, temperature: float | None = None) -> MultiHeadLDA:
        """Return the teacher, float32, its heads in the order of `heads`.

        Args:
            mh_id: The projection.
            temperature: tau to use in place of the stored one.

        Raises:
            DatabaseError: The projection has no heads, or a stored tau that is no positive number.
            VectorError: A centroid or an answer is missing or unusable.
            SettingsError: The temperature given is no positive number.
        """
        from distill_core.teacher import MultiHeadLDA

        projection = self.projection(mh_id)
        tau = stored_temperature(projection) if temperature is None else temperature
        return MultiHeadLDA(self._vectors.centroids(projection), self._vectors.head_answers(projection), tau)

    def queries(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the question vectors of the projection's own model.

        Returns:
            The question ids, ascending, of shape (n,), and the vectors (n, d), as stored: not normalised.

        Raises:
            DatabaseError: The model has no question vectors.
            VectorError: One is missing or unusable.
        """
        return self._vectors.embeddings(self.projection(mh_id), "question")

    def weights(self, mh_id: int) -> NDArray[np.float64] | None:
        """Return how often each of the queries is asked, (n,): once, and as often as the log has its text.

        None where the log has none of them.
        """
        asked, questions = rows.read_asked(self._tables), self.questions()
        if not asked:
            return None
        ids = self.queries(mh_id)[0].tolist()
        texts = (questions[number].text if number in questions else "" for number in ids)
        times = np.array([asked.get(words, 0) if words else 0 for words in texts], np.float64)
        return 1.0 + times if times.any() else None

    def answers(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the answer vectors of the projection's own model, to retrieve from.

        Returns:
            The answer ids, ascending, of shape (m,), and the vectors (m, d), as stored: not normalised.

        Raises:
            DatabaseError: The model has no answer vectors.
            VectorError: One is missing or unusable.
        """
        return self._vectors.embeddings(self.projection(mh_id), "answer")

    def questions(self) -> Mapping[int, Question]:
        """Return the questions by id. A query may have none: vectors and texts are separate tables."""
        return rows.read_questions(self._tables)

    def answer_records(self) -> Mapping[int, Answer]:
        """Return the answers by id. An answer vector may have none, likewise."""
        return rows.read_answers(self._tables)

    def remapping(self, mh_id: int) -> Remapping:
        """Return how all vector files that belong to a projection were found."""
        return self._vectors.locate(self.projection(mh_id)).remapping()

    def files(self, mh_id: int) -> tuple[Path, ...]:
        """Return all files that a projection is read from: the database, its logs, and the vectors found."""
        logs = (self.path.with_name(self.path.name + suffix) for suffix in LOG_SUFFIXES)
        found = self._vectors.locate(self.projection(mh_id)).found
        return (self.path, *logs, *(Path(file.path) for file in found))

    def stamps(self, mh_id: int) -> dict[str, object]:
        """Return what changes with each of these files, by its path; see `stamp_of`."""
        found = self._vectors.locate(self.projection(mh_id)).found
        paths = (str(self.path.with_name(self.path.name + suffix)) for suffix in ("", *LOG_SUFFIXES))
        stamps: dict[str, object] = {path: stamp_of(path) for path in paths}
        return stamps | {file.path: file.signature for file in found}

    def place_warnings(self, mh_id: int) -> tuple[Problem, ...]:
        """Return a warning for each way in which vector files are not where the database says. Reads none."""
        return tuple(place_warnings(self._tables, self._vectors, self.projection(mh_id)))

    def problems(self, mh_id: int | None = None) -> tuple[Problem, ...]:
        """Return all that is wrong or worth a look, of one projection or of all. Reads every vector.

        What is wrong with the content is returned, never raised.
        """
        return find_problems(self._tables, self._vectors, mh_id)

    @property
    def content_sha256(self) -> None:
        """None: what projections share of the vectors is told by hashing what was read."""
        return

    @property
    def true_heads(self) -> None:
        """None: a question may belong to several clusters, and a cluster have several answers."""
        return

    @cached_property
    def sha256(self) -> str:
        """The hash of the database file, in hexadecimal digits.

        Raises:
            DatabaseError: The file is gone or cannot be read any more.
        """
        try:
            with self.path.open("rb") as handle:
                return hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as error:
            raise DatabaseError(
                f"{self.path} cannot be read any more: {error.strerror}.", "Open it again."
            ) from error

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
