"""Opening an SQLite file so that nothing is ever written to it or beside it.

A database in WAL mode creates `-wal` and `-shm` files even when it is opened with `mode=ro`; only
`immutable=1` prevents that. But immutable also overlooks an unfinished write that lies beside the
database, so such a database is copied with its log, and the copy is read into memory.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from distill_core.database.sqlite_file import check_is_sqlite
from distill_core.errors import DatabaseError

logger = logging.getLogger(__name__)

_LOG_SUFFIXES = ("-wal", "-journal")
_COPY_ATTEMPTS = 3


class ReadOnlyConnection:
    """A connection that only reads. Any thread may use it; one query runs at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        check_is_sqlite(path)
        try:
            self._connection = _open(path.resolve())
        except (sqlite3.Error, OSError, UnicodeError) as error:
            raise _cannot_read(path, error) from error

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Return all rows of a query.

        Raises:
            DatabaseError: The file is damaged, or the connection is closed.
        """
        try:
            with self._lock:
                return self._connection.execute(sql, tuple(parameters)).fetchall()
        except (sqlite3.Error, UnicodeError) as error:
            raise _cannot_read(self.path, error) from error

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        with self._lock:
            self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    for _ in range(_COPY_ATTEMPTS):
        logs = _unfinished_writes(path)
        if not logs:
            return _connect(f"{path.as_uri()}?mode=ro&immutable=1")
        with tempfile.TemporaryDirectory(prefix="distill-tui-") as folder:
            copy = Path(folder) / "lda.db"
            if _copy_unchanged(path, logs, copy):
                logger.debug("read a copy of %s together with %s", path, logs)
                return _into_memory(copy)
    raise DatabaseError(
        f"{path} is being written to at this moment.", "Open it again when the other program has finished."
    )


def _unfinished_writes(path: Path) -> tuple[str, ...]:
    """Return the suffixes of the write logs beside the database that are not empty."""
    return tuple(suffix for suffix in _LOG_SUFFIXES if _stamp(path, suffix)[0])


def _stamp(path: Path, suffix: str) -> tuple[int, int]:
    """Return size and time of the database (suffix "") or of a log beside it; zeros if there is none."""
    try:
        status = path.with_name(path.name + suffix).stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_size, status.st_mtime_ns)


def _copy_unchanged(path: Path, logs: tuple[str, ...], copy: Path) -> bool:
    """Copy the database with its logs; False if one of them changed or went away meanwhile."""
    suffixes = ("", *logs)
    before = [_stamp(path, suffix) for suffix in suffixes]
    try:
        for suffix in suffixes:
            shutil.copyfile(path.with_name(path.name + suffix), copy.with_name(copy.name + suffix))
    except FileNotFoundError:
        return False
    return before == [_stamp(path, suffix) for suffix in suffixes]


def _into_memory(copy: Path) -> sqlite3.Connection:
    """Finish or undo the unfinished write in the copy and read it into memory."""
    source = _connect(f"{copy.as_uri()}?mode=rw")
    memory = _connect(":memory:")
    try:
        source.backup(memory)
    except sqlite3.Error:
        memory.close()
        raise
    finally:
        source.close()
    return memory


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
