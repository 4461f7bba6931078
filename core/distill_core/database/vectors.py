"""Reading `.npy` files safely: never unpickled, and checked before anything uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distill_core.database.paths import FoundFile
from distill_core.errors import VectorError

Vectors: TypeAlias = NDArray[np.float32]

_MAGIC = b"\x93NUMPY"
HEADER_LIMIT = 70_000
"""No header is longer, in bytes."""

# The header is a Python literal. Searched, not evaluated: evaluating noise prints warnings over the screen.
_DESCR = re.compile(rb"""['"]descr['"]\s*:\s*['"]([<>=|]?)([A-Za-z?])(\d{0,9})['"]""")
_SHAPE = re.compile(rb"""['"]shape['"]\s*:\s*\(([\dL,\s]{0,200})\)""")
_FORTRAN = re.compile(rb"""['"]fortran_order['"]\s*:\s*True""")
REMAKE = "Make this vector again with the tool that made the database."
RESAVE = "Save it again with numpy.save as a plain float32 array; pickled data is never loaded."


class Header(NamedTuple):
    """What a `.npy` header says: a type such as ("<", "f", "4"), a shape, and whether columns come first."""

    order: str
    kind: str
    size: str
    shape: tuple[int, ...]
    by_columns: bool


def read_vectors(files: Sequence[FoundFile], dimension: int) -> Vectors:
    """Read one vector from each file.

    Args:
        files: The files, each of shape (dimension,) or (1, dimension), of any floating-point type.
        dimension: d, the length that every vector must have.

    Returns:
        An array of shape (len(files), dimension), in the order of the files.

    Raises:
        VectorError: A file cannot be read, or holds something else; it names the first such file.
    """
    if not files:
        return np.empty((0, dimension), np.float32)
    reader = _Reader(dimension)
    vectors = np.stack([reader.read(file) for file in files])
    _check_values(vectors, files)
    return vectors


class _Reader:
    """Reads files of one dimension. Equal headers are parsed once."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._dtypes: dict[bytes, np.dtype[np.generic]] = {}

    def read(self, file: FoundFile) -> Vectors:
        data = self._bytes(file)
        length = header_length(data, file.path)
        raw_header = data[:length]
        if raw_header not in self._dtypes:
            self._dtypes[raw_header] = self._checked(parse_header(raw_header, file.path), file.path)
        dtype = self._dtypes[raw_header]
        needed = self._dimension * dtype.itemsize
        if len(data) - length < needed:
            there = f"{len(data) - length} of {needed} bytes are there"
            raise VectorError(f"{file.path} is truncated: {there}.", REMAKE)
        values = np.frombuffer(data, dtype, self._dimension, length)
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def _bytes(self, file: FoundFile) -> bytes:
        limit = min(file.signature[0], HEADER_LIMIT + 16 * self._dimension)
        try:
            with open(file.path, "rb", buffering=0) as handle:  # noqa: PTH123 - Path costs as much as reading
                return handle.read(limit)
        except PermissionError as error:
            raise VectorError(f"{file.path} may not be read: permission denied.", "Ask its owner.") from error
        except OSError as error:
            raise VectorError(f"{file.path} cannot be read: {error.strerror}.", "Check the disk.") from error

    def _checked(self, header: Header, path: str) -> np.dtype[np.generic]:
        """Return the type of the numbers, if the header is that of a vector of the right length."""
        dtype = floating_type(header, path)
        if header.shape not in ((self._dimension,), (1, self._dimension)):
            wanted = f"the model's vectors have shape ({self._dimension},)"
            raise VectorError(f"{path} has shape {header.shape}; {wanted}.", "It belongs to another model.")
        return dtype


def floating_type(header: Header, path: str) -> np.dtype[np.generic]:
    """Return the type of the numbers of a file, if they are floating-point numbers that can be read.

    Raises:
        VectorError: They are not.
    """
    if header.kind == "O":
        raise VectorError(f"{path} holds pickled objects, not numbers.", RESAVE)
    if header.kind != "f":
        stored = header.order + header.kind + header.size
        raise VectorError(f"{path} holds {stored}, not floating-point numbers.", RESAVE)
    try:
        return np.dtype(header.order + header.kind + header.size)
    except TypeError as error:
        message = (
            f"{path} holds floating-point numbers of {header.size} bytes, which this machine cannot read."
        )
        raise VectorError(message, RESAVE) from error


def header_length(data: bytes, path: str) -> int:
    """Return the number of bytes before the numbers, from the first bytes of a file.

    Raises:
        VectorError: They are not those of a `.npy` file.
    """
    if not data:
        raise VectorError(f"{path} is an empty file.", REMAKE)
    if data[:1] == b"\x80":
        raise VectorError(f"{path} is a pickle, not a .npy file.", RESAVE)
    if not _MAGIC.startswith(data[:6]):
        raise VectorError(f"{path} is not a .npy file.", REMAKE)
    size_bytes = 2 if data[6:7] == b"\x01" else 4
    length = 8 + size_bytes + int.from_bytes(data[8 : 8 + size_bytes], "little")
    if len(data) < 8 + size_bytes or len(data) < length <= HEADER_LIMIT:
        raise VectorError(f"{path} is truncated: it ends within its header.", REMAKE)
    return length


def parse_header(raw: bytes, path: str) -> Header:
    """Return what a header says.

    Raises:
        VectorError: It says neither type nor shape.
    """
    descr, shape = _DESCR.search(raw), _SHAPE.search(raw)
    if descr is None or shape is None:
        raise VectorError(f"{path} has a .npy header that is not that of a vector.", REMAKE)
    order, kind, size = (group.decode("ascii") for group in descr.groups())
    lengths = tuple(int(number) for number in re.findall(rb"\d+", shape.group(1)))
    return Header(order, kind, size, lengths, _FORTRAN.search(raw) is not None)


def _check_values(vectors: Vectors, files: Sequence[FoundFile]) -> None:
    """Refuse vectors that hold NaN or infinity, or that cannot be normalised in single precision."""
    for bad, what in faults_of(vectors):
        if bad.any():
            first = Path(files[int(np.argmax(bad))].path)
            number = int(bad.sum())
            among = f" (the first of {number} such files)" if number > 1 else ""
            raise VectorError(f"{first} {what}{among}.", REMAKE)


def faults_of(vectors: Vectors) -> Iterator[tuple[NDArray[np.bool_] | np.bool_, str]]:
    """Yield what rows (n, d) must not be: which are (n,), and what is wrong with them in words."""
    yield ~np.isfinite(vectors).all(axis=1), "holds NaN or infinity"
    yield ~vectors.any(axis=1), "is all zero, so it has no direction"
    with np.errstate(over="ignore", under="ignore"):
        squared_norm = np.einsum("nd,nd->n", vectors, vectors)
    usable = (squared_norm > 0) & np.isfinite(squared_norm)
    yield ~usable, "has values too small or too large to be normalised"
