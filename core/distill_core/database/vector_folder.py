"""A folder of vectors as a database: `centroids.npy`, `answers.npy`, `queries.npy`, and what is told of them.

Nothing is ever written to it. Heads, answers and questions are numbered by their rows, from 0; every
temperature of `teacher.toml` makes a projection, numbered from 1.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from distill_core.database.cache import is_settled, read_note, write_note
from distill_core.database.connection import absolute_path, being_written, file_stamp
from distill_core.database.folder_texts import (
    FolderFacts,
    HeadLine,
    LineFile,
    QuestionLine,
    QuestionsByRow,
    folder_notes,
    read_teacher_notes,
    require_heads,
    weights_of,
)
from distill_core.database.matrix_file import MatrixFile
from distill_core.database.paths import stamp_of
from distill_core.database.records import (
    Answer,
    EmbeddingModel,
    Head,
    Problem,
    Progress,
    Projection,
    Question,
    untold,
)
from distill_core.database.rows import projection_not_found
from distill_core.database.vectors import Vectors
from distill_core.errors import DatabaseError, VectorError

if TYPE_CHECKING:
    from distill_core.teacher import MultiHeadLDA

CENTROIDS, ANSWERS, QUERIES = "centroids.npy", "answers.npy", "queries.npy"
TEXTS = HEAD_LINES, QUESTION_LINES, NOTES = "heads.jsonl", "queries.jsonl", "teacher.toml"
FILES = (CENTROIDS, ANSWERS, QUERIES, *TEXTS)

_MODEL_ID = 1
_UNKNOWN = -1
"""Stands for the head of a question where nobody knows it."""


def is_vector_folder(path: Path) -> bool:
    """Tell whether a path is a folder that is meant as one of vectors; not yet whether it can be used."""
    try:
        return (path / CENTROIDS).is_file()
    except OSError:
        return False


class VectorFolder:
    """An open folder of vectors; it answers what an `LdaDatabase` answers. Any thread may use it.

    The queries are mapped, and read when they are asked for. Centroids and answers are held in memory: every
    projection reads all of them.

    Attributes:
        path: The absolute path of the folder.

    Args:
        path: The folder; `~` is expanded.
        progress: Is told how far a reading is.

    Raises:
        DatabaseError: A file is missing, cannot be read, or does not fit the others.
    """

    def __init__(self, path: str | os.PathLike[str], *, progress: Progress = untold) -> None:
        self.path = absolute_path(path)
        self._progress = progress
        self._stamps = {self.path / name: file_stamp(self.path / name) for name in FILES}
        with self._one_moment():
            self._centroids, self._answers, self._queries = (
                MatrixFile.open(self.path / name) for name in (CENTROIDS, ANSWERS, QUERIES)
            )
            self._notes = read_teacher_notes(self.path / NOTES)
            self._require_matching()

    def models(self) -> tuple[EmbeddingModel, ...]:
        """Return the one model of the vectors."""
        return (EmbeddingModel(id=_MODEL_ID, name=self._notes.model, dimension=self._centroids.shape[1]),)

    def projections(self) -> tuple[Projection, ...]:
        """Return a projection for each temperature, numbered from 1."""
        return tuple(
            Projection(
                id=number,
                name=self._notes.name or self.path.name,
                model_id=_MODEL_ID,
                model=self._notes.model,
                dimension=self._centroids.shape[1],
                num_heads=self._centroids.shape[0],
                temperature=temperature,
                num_questions=self._queries.shape[0],
            )
            for number, temperature in enumerate(self._notes.temperatures, 1)
        )

    def projection(self, mh_id: int) -> Projection:
        """Return one projection.

        Raises:
            ProjectionNotFoundError: There is none of this number; the message names those there are.
        """
        projections = self.projections()
        for projection in projections:
            if projection.id == mh_id:
                return projection
        raise projection_not_found(self.path, mh_id, [projection.id for projection in projections])

    def heads(self, mh_id: int) -> tuple[Head, ...]:
        """Return the heads of a projection, row by row; each is the cluster of its own number."""
        self.projection(mh_id)
        asked = self._num_questions_of_heads
        return tuple(
            Head(cluster_id=row, cluster_name=line.caption, num_questions=asked[row], has_matrix=False)
            for row, line in enumerate(self._head_lines)
        )

    def teacher(self, mh_id: int, *, temperature: float | None = None) -> MultiHeadLDA:
        """Return the teacher, float32; the arguments are those of `LdaDatabase.teacher`.

        Raises:
            VectorError: A centroid or an answer cannot be used.
            SettingsError: The temperature given is no positive number.
        """
        from distill_core.teacher import MultiHeadLDA

        tau = self.projection(mh_id).temperature if temperature is None else temperature
        return MultiHeadLDA(self._centroid_rows, self._answer_rows, tau)

    def queries(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the row numbers (M,) and the vectors (M, d), mapped where they are stored as float32.

        Raises:
            VectorError: One cannot be used.
        """
        self.projection(mh_id)
        return np.arange(self._queries.shape[0]), self._query_rows

    def weights(self, mh_id: int) -> NDArray[np.float64] | None:
        """Return the weights (M,) that `queries.jsonl` gives; None where it gives none."""
        self.projection(mh_id)
        return self._weights

    def answers(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the row numbers (N,) and the vectors (N, d) of the heads' answers, to retrieve from.

        Raises:
            VectorError: One cannot be used.
        """
        self.projection(mh_id)
        return np.arange(self._answers.shape[0]), self._answer_rows

    def questions(self) -> Mapping[int, Question]:
        """Return the questions by row; none where there is no `queries.jsonl`."""
        return QuestionsByRow(self._question_lines)

    def answer_records(self) -> Mapping[int, Answer]:
        """Return the answers by row; each is that of the head of its own number."""
        return {
            row: Answer(id=row, text=line.text or line.caption, cluster_ids=(row,))
            for row, line in enumerate(self._head_lines)
        }

    @cached_property
    def true_heads(self) -> NDArray[np.int64]:
        """(M,) the head of each query; below 0 where nobody knows it."""
        if not self._question_lines:
            return np.full(self._queries.shape[0], _UNKNOWN)
        return np.array(
            [_UNKNOWN if line.head is None else line.head for line in self._question_lines], np.int64
        )

    def files(self, mh_id: int) -> tuple[Path, ...]:
        """Return all files that the folder is read from, also those that are not there."""
        self.projection(mh_id)
        return tuple(self._stamps)

    def stamps(self, mh_id: int) -> dict[str, object]:
        """Return what changes with each of these files, by its path; see `stamp_of`."""
        return {str(path): stamp_of(str(path)) for path in self.files(mh_id)}

    def place_warnings(self, mh_id: int) -> tuple[Problem, ...]:
        """Return nothing: a folder's vectors are nowhere else."""
        self.projection(mh_id)
        return ()

    def problems(self, mh_id: int | None = None) -> tuple[Problem, ...]:
        """Return all that is wrong or worth a look; what is wrong is returned, never raised."""
        try:
            projections = self.projections() if mh_id is None else (self.projection(mh_id),)
            facts = FolderFacts(
                num_heads=len(self._centroid_rows),
                num_questions=len(self._query_rows),
                with_questions=int(np.count_nonzero(self._num_questions_of_heads)),
                unknown_heads=int((self.true_heads < 0).sum()),
                temperature=None if self._notes.is_told else self._notes.temperatures[0],
                missing=tuple(name for name in TEXTS if not (self.path / name).exists()),
            )
            assert len(self._answer_rows) == len(self._head_lines) == facts.num_heads
            assert self._weights is None or len(self._weights) == facts.num_questions
        except DatabaseError as error:
            return (Problem(severity="error", message=error.message, hint=error.hint, mh_id=mh_id),)
        return tuple(folder_notes(facts, projections))

    @cached_property
    def content_sha256(self) -> str:
        """The hash of what a training reads but for the temperature: the vectors, and the true heads.

        Raises:
            DatabaseError: A file cannot be used.
        """
        if (known := self._known_sha256) is not None:
            return known
        digest = hashlib.sha256()
        files = (self._centroids, self._answers, self._queries)
        for file, rows in zip(files, (self._centroid_rows, self._answer_rows, self._query_rows), strict=True):
            digest.update(f"{file.path.name}{file.shape}".encode())
            for block in file.blocks():
                digest.update(np.ascontiguousarray(rows[block]).data)
        digest.update(self.true_heads.data)
        self._require_unchanged(None)
        if is_settled(*(stamp.changed_ns for stamp in self._stamps.values())):
            write_note(self._note_name, digest.hexdigest().encode())
        return digest.hexdigest()

    @property
    def _note_name(self) -> str:
        stamps = "".join(f"\n{path}\0{tuple(stamp)}" for path, stamp in self._stamps.items())
        return f"folder of vectors 1{stamps}"

    @cached_property
    def _known_sha256(self) -> str | None:
        """The hash of the content, if the very same files were read, and found sound, before."""
        known = read_note(self._note_name)
        return None if known is None else known.decode()

    @property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal digits; a folder has no bytes of its own."""
        return self.content_sha256

    def close(self) -> None:
        """Do nothing: files are mapped as long as somebody has their rows."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Reading, each file once.

    @cached_property
    def _centroid_rows(self) -> Vectors:
        with self._one_moment():
            return self._centroids.in_memory(self._progress)

    @cached_property
    def _answer_rows(self) -> Vectors:
        with self._one_moment():
            return self._answers.in_memory(self._progress)

    @cached_property
    def _query_rows(self) -> Vectors:
        with self._one_moment():
            return self._queries.rows(self._progress, is_sound=self._known_sha256 is not None)

    @cached_property
    def _head_lines(self) -> list[HeadLine]:
        with self._one_moment():
            file = LineFile(self.path / HEAD_LINES, HeadLine)
            lines = file.read(self._centroids.shape[0], CENTROIDS, self._progress)
        return [HeadLine()] * self._centroids.shape[0] if lines is None else lines

    @cached_property
    def _question_lines(self) -> list[QuestionLine]:
        """A line for each query; none where there is no such file."""
        with self._one_moment():
            file = LineFile(self.path / QUESTION_LINES, QuestionLine)
            lines = file.read(self._queries.shape[0], QUERIES, self._progress) or []
            require_heads(lines, self.path / QUESTION_LINES, self._centroids.shape[0])
        return lines

    @cached_property
    def _weights(self) -> NDArray[np.float64] | None:
        return weights_of(self._question_lines, self.path / QUESTION_LINES)

    @contextlib.contextmanager
    def _one_moment(self) -> Iterator[None]:
        """Tell what is read within as being written to, where a file changes before its end."""
        try:
            yield
        except DatabaseError as error:
            self._require_unchanged(error)
            raise
        self._require_unchanged(None)

    def _require_unchanged(self, cause: Exception | None) -> None:
        for path, stamp in self._stamps.items():
            if file_stamp(path) != stamp:
                raise being_written(path) from cause

    def _require_matching(self) -> None:
        (num_heads, dimension), answers, queries = (
            file.shape for file in (self._centroids, self._answers, self._queries)
        )
        if answers != (num_heads, dimension):
            raise VectorError(
                f"{self._answers.path} has shape {answers}, {CENTROIDS} has {self._centroids.shape}.",
                "Every head needs a centroid and an answer, of the same length.",
            )
        if queries[1] != dimension:
            raise VectorError(
                f"The vectors of {self._queries.path} have {queries[1]} dimensions, those of {CENTROIDS} "
                f"{dimension}.",
                "Embed questions and answers with the same model.",
            )

    @cached_property
    def _num_questions_of_heads(self) -> list[int]:
        known = self.true_heads[self.true_heads >= 0]
        numbers: list[int] = np.bincount(known, minlength=self._centroids.shape[0]).tolist()
        return numbers
