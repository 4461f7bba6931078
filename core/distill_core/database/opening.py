"""Which database to open, and how: an `lda.db`, a folder of vectors, or the bundled demo."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from distill_core.database.connection import absolute_path
from distill_core.database.lda_database import LdaDatabase
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
from distill_core.database.vector_folder import FILES, VectorFolder, is_vector_folder
from distill_core.errors import DatabaseError

if TYPE_CHECKING:
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray

    from distill_core.teacher import MultiHeadLDA


class Database(Protocol):
    """What can be asked of an open database, whatever it is kept in: see `LdaDatabase`."""

    path: Path

    @property
    def sha256(self) -> str:
        """The hash of the file, or of the content of a folder, in hexadecimal digits."""

    @property
    def content_sha256(self) -> str | None:
        """The identity of the content but for the temperature; None where only all that was read tells it."""

    @property
    def true_heads(self) -> NDArray[np.int64] | None:
        """The row (n,) of the one head, and answer, of each query, below 0 where nobody knows it.

        None where that is told by clusters only, of which a question may have several.
        """

    def models(self) -> tuple[EmbeddingModel, ...]:
        """Return the embedding models, ordered by id."""

    def projections(self) -> tuple[Projection, ...]:
        """Return the projections that can be read, ordered by id."""

    def projection(self, mh_id: int) -> Projection:
        """Return one projection."""

    def heads(self, mh_id: int) -> tuple[Head, ...]:
        """Return the heads of a projection, in the order of the teacher's."""

    def teacher(self, mh_id: int, *, temperature: float | None = None) -> MultiHeadLDA:
        """Return the teacher at its stored temperature, or at another one."""

    def queries(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ids (n,), ascending, and the vectors (n, d) of the questions."""

    def weights(self, mh_id: int) -> NDArray[np.float64] | None:
        """Return how often each of the queries is asked, (n,), > 0; None where nobody knows."""

    def answers(self, mh_id: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ids (m,), ascending, and the vectors (m, d) of the answers to retrieve from."""

    def questions(self) -> Mapping[int, Question]:
        """Return the questions by id; a query may have none."""

    def answer_records(self) -> Mapping[int, Answer]:
        """Return the answers by id; an answer vector may have none."""

    def files(self, mh_id: int) -> tuple[Path, ...]:
        """Return all files that a projection is read from."""

    def stamps(self, mh_id: int) -> dict[str, object]:
        """Return what changes with each of these files, by its path; see `paths.stamp_of`."""

    def place_warnings(self, mh_id: int) -> tuple[Problem, ...]:
        """Return a warning for each way in which vector files are not where the database says."""

    def problems(self, mh_id: int | None = None) -> tuple[Problem, ...]:
        """Return all that is wrong or worth a look, of one projection or of all; reads every vector."""

    def close(self) -> None:
        """Close it; closing twice is allowed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_database(path: str | os.PathLike[str], *, progress: Progress = untold) -> Database:
    """Open a folder of vectors, or an `lda.db`; use it as a context manager.

    Args:
        path: The file or the folder; `~` is expanded.
        progress: Is told how far a reading is.

    Raises:
        DatabaseError: It cannot be opened: one sentence that names the file, and a hint.
    """
    place = absolute_path(path)
    if is_vector_folder(place):
        return VectorFolder(place, progress=progress)
    return LdaDatabase(place, at_once=True, progress=progress)


def check_database(path: str | os.PathLike[str]) -> None:
    """Check that a path is a folder of vectors that fit, or SQLite with the tables of the published schema.

    Vectors themselves are not looked at.

    Raises:
        DatabaseError: It is not, or cannot be read.
    """
    open_database(path).close()


def is_database(path: Path) -> bool:
    """Tell whether a path is there and may be opened: a file, or a folder of vectors."""
    try:
        return path.is_file() or is_vector_folder(path)
    except OSError:
        return False


def folder_of_vectors_around(folder: Path) -> Path | None:
    """Return the folder of vectors that a folder is, or lies in; None where there is none."""
    return next((place for place in (folder, *folder.parents) if is_vector_folder(place)), None)


def files_of(database: Path) -> tuple[Path, ...]:
    """Return the files that a database may be read from: of a folder of vectors those in it, else itself."""
    return tuple(database / name for name in FILES) if is_vector_folder(database) else (database,)


def demo_database_path() -> Path:
    """Return the path of the bundled demo database.

    Raises:
        DatabaseError: It is not there.
    """
    path = Path(str(resources.files("distill_core.database") / "demo_data" / "lda.db"))
    if not path.is_file():
        raise DatabaseError(f"The bundled demo database {path} is missing.", "Install distill-tui again.")
    return path
