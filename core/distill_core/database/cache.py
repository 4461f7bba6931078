"""What was read or found before, kept because finding it again takes seconds: packed vectors, and notes.

An entry's name is a hash of what it was made of: the path, size, times and inode of every file, in order. So
a changed file gives another name, and entries never need to be told apart or corrected. The folder may be
deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill_core.database.paths import FoundFile
from distill_core.database.vectors import Vectors
from distill_core.user_folders import cache_folder

logger = logging.getLogger(__name__)

MIN_FILES = 256
"""Fewer files than this are read as fast as a packed one, and leave the cache to those that need it."""

MAX_ENTRIES = 20

MAX_NOTES = 500
"""Some kilobytes each."""

_FORMAT = "distill-tui vectors 1"
_SUFFIX, _NOTE_SUFFIX = ".vectors", ".note"
_DIGEST_BYTES = 32
_UNSETTLED_NS = 50_000_000


class VectorCache:
    """Packed vectors in a folder: a checksum, then the float32 numbers.

    No failure of the cache is an error: what cannot be read is read from the files again, what cannot be
    written is not kept.

    Args:
        folder: Where to keep the entries; by default `$DISTILL_TUI_CACHE`, else the user's cache directory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or cache_folder()

    def load(self, files: Sequence[FoundFile], dimension: int) -> Vectors | None:
        """Return the packed vectors of just these files, unchanged since, or None."""
        if self._folder is None or len(files) < MIN_FILES:
            return None
        path = self._folder / _entry_name(files, dimension)
        try:
            vectors = _read(path, (len(files), dimension))
        except OSError as error:
            logger.debug("no cache entry %s: %s", path, error)
            return None
        if vectors is None:
            logger.debug("cache entry %s is damaged", path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the entries used last are kept
        return vectors

    def store(self, files: Sequence[FoundFile], vectors: Vectors) -> None:
        """Keep the vectors of these files, unless there are few or one of them has just been written."""
        if (
            self._folder is None
            or len(files) < MIN_FILES
            or not is_settled(*(file.signature[1] for file in files))
        ):
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            entry = self._folder / _entry_name(files, vectors.shape[1])
            _write(entry, _digest(vectors), vectors.data)
            _prune(self._folder, _SUFFIX, MAX_ENTRIES)
        except OSError as error:
            logger.debug("the cache in %s is not kept: %s", self._folder, error)


def read_note(what: str, folder: Path | None = None) -> bytes | None:
    """Return what was noted of something before, or None.

    Args:
        what: All that it depends on: other content must have other words.
        folder: Of the cache, as `VectorCache` takes it.
    """
    folder = folder or cache_folder()
    if folder is None:
        return None
    path = _note_path(folder, what)
    try:
        digest, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest.decode("ascii", "replace") != hashlib.sha256(content).hexdigest():
        logger.debug("note %s is damaged", path)
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return content


def write_note(what: str, content: bytes, folder: Path | None = None) -> None:
    """Keep something for `read_note`; a cache that cannot be written to is no error."""
    folder = folder or cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(_note_path(folder, what), hashlib.sha256(content).hexdigest().encode() + b"\n", content)
        _prune(folder, _NOTE_SUFFIX, MAX_NOTES)
    except OSError as error:
        logger.debug("the cache in %s is not kept: %s", folder, error)


def is_settled(*changed_ns: int) -> bool:
    """Return whether no file may change once more without its time changing: clocks of file systems tick."""
    return abs(time.time_ns() - max(changed_ns)) > _UNSETTLED_NS


def _note_path(folder: Path, what: str) -> Path:
    return folder / (hashlib.sha256(what.encode("utf-8", "surrogateescape")).hexdigest() + _NOTE_SUFFIX)


def _prune(folder: Path, suffix: str, kept: int) -> None:
    """Remove all but the entries used last; temporary files left by a crash count as entries."""
    entries = sorted(folder.glob(f"*{suffix}*"), key=lambda entry: entry.stat().st_mtime_ns)
    for entry in entries[:-kept]:
        entry.unlink(missing_ok=True)


def _entry_name(files: Sequence[FoundFile], dimension: int) -> str:
    lines = [f"{_FORMAT} {dimension}", *(f"{file.path}\0{file.signature}" for file in files)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest() + _SUFFIX


def _digest(vectors: Vectors) -> bytes:
    return hashlib.blake2b(vectors.data, digest_size=_DIGEST_BYTES).digest()


def _read(path: Path, shape: tuple[int, int]) -> Vectors | None:
    """Return the vectors of an entry, or None if it is not whole."""
    size_bytes = shape[0] * shape[1] * np.dtype(np.float32).itemsize
    with path.open("rb") as handle:
        # Looked at before anything is allocated: the shape is what a database says, and may be absurd.
        if os.fstat(handle.fileno()).st_size != _DIGEST_BYTES + size_bytes:
            return None
        digest = handle.read(_DIGEST_BYTES)
        vectors = np.empty(shape, np.float32)
        whole = handle.readinto(vectors.data.cast("B")) == size_bytes
    return vectors if whole and digest == _digest(vectors) else None


def _write(path: Path, digest: bytes, content: bytes | memoryview) -> None:
    """Write under a temporary name and rename, so that nobody reads half an entry."""
    descriptor, temporary = tempfile.mkstemp(prefix=path.name, suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(digest)
            handle.write(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
