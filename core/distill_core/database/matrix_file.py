"""A `.npy` file with one vector a row: checked, then mapped, so that only what is asked for is read."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from mmap import mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill_core.database.connection import FileStamp, being_written, file_stamp
from distill_core.database.records import Progress, untold
from distill_core.database.rows import MAX_DIMENSION
from distill_core.database.vectors import (
    HEADER_LIMIT,
    REMAKE,
    RESAVE,
    Vectors,
    faults_of,
    floating_type,
    header_length,
    parse_header,
)
from distill_core.errors import DatabaseError, VectorError

_BLOCK_BYTES = 1 << 24
"""Read at once: so much memory is taken, and so long nothing is told."""


class MappedRows(np.memmap[Any, np.dtype[Any]]):
    """Vectors (n, d) in a file; what is asked for by rows is read then, and is a copy.

    Where the file ends earlier than it did, touching what was there would end the process. So a file that was
    written over since it was mapped is told, not read; one that was replaced stays as it was.
    """

    _mmap: mmap
    _origin: tuple[Path, FileStamp] | None = None

    def __getitem__(self, rows: Any) -> Any:  # noqa: ANN401 - whatever NumPy takes and gives
        """Return the rows asked for, in memory of their own.

        Raises:
            VectorError: The file was written over.
        """
        self.require_unchanged()
        found = super().__getitem__(rows)
        return np.array(found) if isinstance(found, np.ndarray) else found

    def require_unchanged(self) -> None:
        """Raise a VectorError if the file was written over since it was mapped."""
        if self._origin is None:
            return
        path, before = self._origin
        now = file_stamp(path)
        if (now.inode == before.inode and now != before) or self._mmap.size() < before.size:
            raise being_written(path)


class MatrixFile(NamedTuple):
    """What the header of a file of vectors says, checked against its size.

    Attributes:
        path: The file.
        dtype: As it is stored.
        shape: (n, d), both 1 at least.
        by_columns: Whether the file holds column after column.
        offset: Bytes before the numbers.
        stamp: What changes with the file, from before it was looked at.
    """

    path: Path
    dtype: np.dtype[np.generic]
    shape: tuple[int, int]
    by_columns: bool
    offset: int
    stamp: FileStamp

    @classmethod
    def open(cls, path: Path) -> MatrixFile:
        """Look at the header of a file.

        Raises:
            DatabaseError: It is not there, cannot be read, or holds no matrix of floating-point numbers.
        """
        require_plain_file(path)
        stamp = file_stamp(path)
        data = _head(path)
        length = header_length(data, str(path))
        header = parse_header(data[:length], str(path))
        dtype = floating_type(header, str(path))
        if len(header.shape) != 2 or 0 in header.shape or header.shape[1] > MAX_DIMENSION:
            wanted = "one vector a row has shape (n, d)"
            raise VectorError(f"{path} has shape {header.shape}; {wanted}.", RESAVE)
        shape = (header.shape[0], header.shape[1])
        needed = shape[0] * shape[1] * dtype.itemsize
        if stamp.size - length < needed:
            there = f"{max(stamp.size - length, 0):,} of {needed:,} bytes are there"
            raise VectorError(f"{path} is truncated: {there}.", "Save it again, or wait until it is written.")
        return cls(path, dtype, shape, header.by_columns, length, stamp)

    def rows(self, progress: Progress = untold) -> Vectors:
        """Return the vectors, checked: mapped where they are stored as float32, row by row, else converted.

        Raises:
            VectorError: They hold NaN, infinity or a zero row, or the file is written over meanwhile.
        """
        mapped = self._mapped()
        is_plain = self.dtype == np.dtype(np.float32) and self.dtype.isnative and not self.by_columns
        return self._checked(mapped, None if is_plain else self._room(), progress)

    def in_memory(self, progress: Progress = untold) -> Vectors:
        """Return the vectors in memory, checked, for what reads all of them again and again."""
        return self._checked(self._mapped(), self._room(), progress)

    def blocks(self, progress: Progress = untold) -> Iterator[slice]:
        """Cut the rows into slices of some megabytes, and tell after each how far it is."""
        count = self.shape[0]
        step = max(1, _BLOCK_BYTES // (self.shape[1] * self.dtype.itemsize))
        for start in range(0, count, step):
            progress(f"vectors of {self.path.name}", start, count)
            yield slice(start, min(start + step, count))
        progress(f"vectors of {self.path.name}", count, count)

    def _mapped(self) -> MappedRows:
        try:
            mapped: MappedRows = MappedRows(
                self.path,
                self.dtype,
                mode="r",
                offset=self.offset,
                shape=self.shape,
                order="F" if self.by_columns else "C",
            )
        except (OSError, ValueError) as error:  # shorter than it was
            raise VectorError(f"{self.path} cannot be mapped: {error}.", "Open it again.") from error
        mapped._origin = (self.path, self.stamp)
        return mapped

    def _room(self) -> Vectors:
        try:
            return np.empty(self.shape, np.float32)
        except MemoryError as error:
            raise VectorError(
                f"{self.path} holds {self.shape[0]:,} vectors, more than the memory takes.",
                "Open it on a larger machine, or store the queries as float32, which are mapped.",
            ) from error

    def _checked(self, mapped: MappedRows, room: Vectors | None, progress: Progress) -> Vectors:
        first: dict[str, int] = {}
        number: dict[str, int] = {}
        for block in self.blocks(progress):
            with np.errstate(over="ignore"):
                rows = mapped[block].astype(np.float32, copy=False)
            for bad, what in faults_of(rows):
                if bad.any():
                    first.setdefault(what, block.start + int(np.argmax(bad)))
                    number[what] = number.get(what, 0) + int(bad.sum())
            if room is not None:
                room[block] = rows
        mapped.require_unchanged()
        for what, row in first.items():
            among = f" (the first of {number[what]:,} such rows)" if number[what] > 1 else ""
            raise VectorError(f"Row {row} of {self.path} {what}{among}.", REMAKE)
        return mapped if room is None else room


def require_plain_file(path: Path) -> None:
    """Raise a DatabaseError unless a path is a regular file: a pipe would be waited for."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise DatabaseError(
            f"{path} is missing.", "A folder of vectors holds centroids.npy, answers.npy and queries.npy."
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise DatabaseError(f"{path} is no plain file.", "Put the file itself there.")


def read_text_bytes(path: Path) -> bytes:
    """Return the bytes of a small file of texts.

    Raises:
        DatabaseError: It cannot be read.
    """
    require_plain_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as handle:
            return handle.read(HEADER_LIMIT)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DatabaseError:
    if isinstance(error, PermissionError):
        return DatabaseError(f"{path} may not be read: permission denied.", "Ask its owner to let you.")
    return DatabaseError(f"{path} cannot be read: {error.strerror}.", "Check the path and the disk it is on.")
