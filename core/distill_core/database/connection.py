"""The read-only connection to an `lda.db`, and what a path must be before SQLite sees it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from distill_core.errors import DatabaseError

_MAGIC = b"SQLite format 3\x00"


def absolute_path(path: str | os.PathLike[str]) -> Path:
    """Return the path made absolute, with `~` expanded; links stay as they are.

    Raises:
        DatabaseError: There is no such user, or the working directory is gone.
    """
    try:
        return Path(path).expanduser().absolute()
    except (OSError, RuntimeError) as error:
        raise DatabaseError(
            f"The path {os.fspath(path)!r} cannot be resolved: {str(error).rstrip('.')}."
        ) from error


def check_is_sqlite(path: Path) -> None:
    """Raise a DatabaseError unless the path is a readable, regular file that begins as SQLite's do."""
    try:
        _check_is_file(path)
        with path.open("rb") as handle:
            start = handle.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise DatabaseError(
            f"There is no file {path}.", "Check the path, or try `distill-tui demo`."
        ) from error
    except PermissionError as error:
        raise DatabaseError(
            f"{path} may not be read: permission denied.", "Ask its owner to let you."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatabaseError(f"{path} cannot be opened: {reason}.", "Check the path.") from error
    if not start:
        raise DatabaseError(f"{path} is an empty file.", "Its making was probably cut short; make it again.")
    if start != _MAGIC:
        raise DatabaseError(
            f"{path} is not an SQLite database.", "Open the lda.db that holds your projections."
        )


def _check_is_file(path: Path) -> None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        inside = path / "lda.db"
        vectors = "Open the lda.db file itself, or a folder with centroids.npy, answers.npy and queries.npy."
        hint = f"Open {inside}." if inside.is_file() else vectors
        raise DatabaseError(f"{path} is a folder, not a database.", hint)
    if not stat.S_ISREG(mode):
        raise DatabaseError(f"{path} is a device or a pipe, not a database.", "Open an lda.db file.")


logger = logging.getLogger(__name__)

MAX_IN_MEMORY_BYTES = 1 << 28
"""Of a larger file nothing is copied: it is read where it is, and checked not to change meanwhile."""

_ATTEMPTS = 40
_PAUSE_SECONDS = 0.03
LOG_SUFFIXES = ("-wal", "-journal")
_JOURNAL_MODE_BYTES = slice(18, 20)
_CAN_OPEN_BYTES = hasattr(sqlite3.Connection, "deserialize")
"""Not by an SQLite before 3.36."""

# Where SQLite's locks lie in a file that other processes read or write.
_PENDING_BYTE, _SHARED_FIRST, _SHARED_SIZE = 0x40000000, 0x40000002, 510
_LOCK_REFUSED = (errno.EACCES, errno.EAGAIN)


class ReadOnlyConnection:
    """A connection that only reads. Any thread may use it; one query runs at a time.

    Raises:
        DatabaseError: The file cannot be read, or another program has kept on writing to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        check_is_sqlite(path)
        target = path.resolve()
        self._unchanged: tuple[FileStamp, ...] = ()
        try:
            if target.stat().st_size > MAX_IN_MEMORY_BYTES:
                self._unchanged = _stamps(target)
                self._connection = _in_place(target)
            else:
                self._connection = _in_memory(target)
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise _cannot_read(path, error) from error

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query.

        Raises:
            DatabaseError: The file is damaged or is being written to, or the connection is closed.
        """
        try:
            with self._lock:
                rows = self._connection.execute(sql, tuple(parameters)).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            self._require_unchanged()
            raise _cannot_read(self.path, error) from error
        self._require_unchanged()
        return rows

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        with self._lock:
            self._connection.close()

    def _require_unchanged(self) -> None:
        if self._unchanged and self._unchanged != _stamps(self.path.resolve()):
            raise being_written(self.path)


def being_written(path: Path) -> DatabaseError:
    """Return the error for a file that changes while it is read."""
    return DatabaseError(
        f"{path} is being written to at this moment.", "Open it again when the other program has finished."
    )


class _Copy(NamedTuple):
    """The bytes of a database and of each write log that is not empty, all of one moment."""

    content: bytes
    logs: dict[str, bytes]


class FileStamp(NamedTuple):
    """What changes with a file: its size in bytes, the time of its last change, and its inode."""

    size: int
    changed_ns: int
    inode: int


def _in_memory(path: Path) -> sqlite3.Connection:
    copy = _copied(path)
    memory = _connect(":memory:")
    try:
        if copy.logs or not _CAN_OPEN_BYTES:
            logger.debug("read a copy of %s together with %s", path, tuple(copy.logs))
            _restore(copy, memory)
        else:
            memory.deserialize(_without_log(copy.content))
        memory.execute("PRAGMA query_only = ON")
    except BaseException:
        memory.close()
        raise
    return memory


def _in_place(path: Path) -> sqlite3.Connection:
    """Open a file that is too large to copy; with an unfinished write it can be read by no other way."""
    if any(stamp.size for stamp in _stamps(path)[1:]):
        raise being_written(path)
    return _connect(f"{path.as_uri()}?mode=ro&immutable=1")


def _stamps(path: Path) -> tuple[FileStamp, ...]:
    """Return what tells that the database, or a log beside it, has changed."""
    return tuple(file_stamp(path.with_name(path.name + suffix)) for suffix in ("", *LOG_SUFFIXES))


def file_stamp(path: Path) -> FileStamp:
    """Return what changes with a file; that of no file at all where none can be seen."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(0, 0, 0)
    return FileStamp(status.st_size, max(status.st_mtime_ns, status.st_ctime_ns), status.st_ino)


def _copied(path: Path) -> _Copy:
    """Read the database with its logs until two readings, one after the other, are the same.

    What both found was there at the moment between them, and what is on a disk at one moment SQLite can
    always restore, as after a power cut. A writer without a journal is kept out, or noticed, by its lock.
    """
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS)
        with _shared_lock(path) as allowed:
            if not allowed:
                continue
            copy = _read(path)
            if attempt == 0 and _is_open_elsewhere(path):
                time.sleep(_PAUSE_SECONDS)  # a write that has just begun is waited for, not overlooked
            if copy == _read(path):
                return copy
    raise being_written(path)


@contextlib.contextmanager
def _shared_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of SQLite's readers; give False where a writer is at work.

    A file system without locks has none that could be refused.
    """
    with path.open("rb") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _PENDING_BYTE)
            fcntl.lockf(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, _SHARED_SIZE, _SHARED_FIRST)
        except OSError as error:
            yield error.errno not in _LOCK_REFUSED
        else:
            yield True


def _is_open_elsewhere(path: Path) -> bool:
    """Return whether a program has the database open in WAL mode, which keeps a log of its own beside it."""
    return path.with_name(f"{path.name}-wal").exists()


def _read(path: Path) -> _Copy:
    logs = {suffix: _read_log(path.with_name(path.name + suffix)) for suffix in LOG_SUFFIXES}
    return _Copy(_read_at_most(path), {suffix: content for suffix, content in logs.items() if content})


def _read_log(path: Path) -> bytes:
    try:
        return _read_at_most(path) if stat.S_ISREG(path.stat().st_mode) else b""
    except FileNotFoundError:
        return b""


def _read_at_most(path: Path) -> bytes:
    with path.open("rb") as handle:
        if os.fstat(handle.fileno()).st_size > 2 * MAX_IN_MEMORY_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return handle.read(2 * MAX_IN_MEMORY_BYTES)


def _without_log(content: bytes) -> bytes:
    """Return the database as one that has no write-ahead log, which a database in memory cannot have."""
    if content[_JOURNAL_MODE_BYTES] != b"\x02\x02":
        return content
    return b"".join((content[: _JOURNAL_MODE_BYTES.start], b"\x01\x01", content[_JOURNAL_MODE_BYTES.stop :]))


def _restore(copy: _Copy, memory: sqlite3.Connection) -> None:
    """Finish or undo the unfinished write in a file of our own, and read that into memory."""
    with tempfile.TemporaryDirectory(prefix="distill-tui-") as folder:
        file = Path(folder) / "lda.db"
        file.write_bytes(copy.content)
        for suffix, content in copy.logs.items():
            file.with_name(file.name + suffix).write_bytes(content)
        source = _connect(f"{file.as_uri()}?mode=rw")
        try:
            source.backup(memory)
        finally:
            source.close()


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    connection.text_factory = lambda raw: raw.decode("utf-8", errors="replace")
    # A hostile file may carry views or defaults that call functions.
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def _cannot_read(path: Path, error: Exception) -> DatabaseError:
    if isinstance(error, sqlite3.ProgrammingError):
        return DatabaseError(f"{path} cannot be read: {error}", "Open it again.")
    if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return DatabaseError(f"{path} is damaged: {error}.", "Restore it from a backup, or make it again.")
    return DatabaseError(f"{path} cannot be read: {error}.", "Check the file and the disk it is on.")
