"""Where the ledger of sweeps lies: SQLite beside the runs, a PostgreSQL server, or a journal file."""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from distill_core.errors import SweepError, told
from distill_core.extras import is_installed

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage

T = TypeVar("T")

ENVIRONMENT_VARIABLE = "DISTILL_TUI_STORAGE"

DEFAULT_FILE = "sweeps.db"
"""Beside the runs."""

_SQLITE_PATIENCE_SECONDS = 30
_SCHEMA_BYTES = 1_000_000
"""The schema is written first, so that it is found near the beginning of the file."""

_JOURNAL_LOCK_SECONDS = 10
"""A lock on the journal that is held for longer was left behind by a dead process."""

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")
_SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)")


class StoragePlace(NamedTuple):
    """Where a ledger lies.

    Attributes:
        kind: What it is.
        address: A file's path, or a server's URL with a driver.
    """

    kind: Literal["sqlite", "postgresql", "journal"]
    address: str

    @property
    def url(self) -> str:
        """The place as `--storage` takes it, password included."""
        if self.kind == "postgresql":
            return self.address
        return f"{self.kind}:///{self.address}"

    @property
    def shown(self) -> str:
        """The place without a password, for people."""
        return _PASSWORD.sub("***", self.address)

    @property
    def is_there(self) -> bool:
        """Whether it may hold sweeps: a file that does not exist does not."""
        return self.kind == "postgresql" or Path(self.address).exists()


def storage_place(asked: str | None, runs: Path) -> StoragePlace:
    """Return where a ledger lies: as asked, else as the environment says, else beside the runs.

    Args:
        asked: `postgresql://...`, `sqlite:///FILE`, `journal:///FILE`, or a file: SQLite if its name ends in
            `.db` or `.sqlite`, else a journal.
        runs: The folder of the runs.

    Raises:
        SweepError: It is none of these.
    """
    text = asked or os.environ.get(ENVIRONMENT_VARIABLE) or str(runs / DEFAULT_FILE)
    if not _SCHEME.match(text):
        file = Path(text).expanduser().absolute()
        return StoragePlace("sqlite" if file.suffix in _SQLITE_SUFFIXES else "journal", str(file))
    scheme, _, rest = text.partition("://")
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return StoragePlace("postgresql", f"postgresql+psycopg://{rest}")
    if scheme in ("sqlite", "journal") and rest.startswith("/") and len(rest) > 1:
        file = Path(rest[1:]).expanduser().absolute()  # as in SQLAlchemy: four slashes begin a full path
        return StoragePlace("sqlite" if scheme == "sqlite" else "journal", str(file))
    raise SweepError(
        f"{_PASSWORD.sub('***', text)} is no storage for sweeps.",
        "Take postgresql://USER@HOST/DATABASE, sqlite:///FILE, journal:///FILE, or a file.",
    )


def open_storage(place: StoragePlace) -> BaseStorage:
    """Open a ledger, made anew where there is none.

    Raises:
        SweepError: It cannot be reached, a package is missing, or the file is something else.
    """
    import optuna

    optuna.logging.disable_propagation()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    if place.kind == "journal":
        return _journal(Path(place.address))
    if place.kind == "postgresql":
        return _server(place)
    return _sqlite(Path(place.address))


def _server(place: StoragePlace) -> BaseStorage:
    from optuna.storages import RDBStorage

    if not is_installed("psycopg"):
        raise SweepError("A PostgreSQL server needs psycopg.", "pip install 'distill-tui[postgres]'.")
    if not urlsplit(place.address).path.strip("/"):
        raise SweepError(f"{place.shown} names no database.", "Add it: postgresql://HOST/DATABASE.")
    # A small pool, whose connections are tried before use: a server that was started again is no error.
    pool = {"pool_size": 1, "max_overflow": 2, "pool_pre_ping": True}
    return RDBStorage(place.address, engine_kwargs={**pool, "connect_args": {"connect_timeout": 10}})


def _sqlite(file: Path) -> BaseStorage:
    from optuna.storages import RDBStorage

    from distill_core.outputs import Output

    _require_own_sqlite(file)
    if not file.exists():
        Output(file)  # refuses folders of runs, missing permissions, files of others
    options = {"timeout": _SQLITE_PATIENCE_SECONDS, "isolation_level": None}
    storage = RDBStorage(f"sqlite:///{file}", engine_kwargs={"connect_args": options})
    _begin_immediately(storage)
    return storage


def _begin_immediately(storage: RDBStorage) -> None:
    """Have each transaction take SQLite's lock for writing when it begins.

    Python's driver begins one at the first write only, so that two processes may both read that a trial
    waits, and both claim it.
    """
    from sqlalchemy import event

    def begin(connection: Any) -> None:  # noqa: ANN401 - a connection of SQLAlchemy, which is imported late
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(storage.engine, "begin", begin)


def _require_own_sqlite(file: Path) -> None:
    """Refuse a database that is no ledger, such as the user's `lda.db`.

    Raises:
        SweepError: It is one.
    """
    if not file.exists() or file.stat().st_size == 0:
        return
    # Not asked of SQLite: opening a file that a killed process left behind writes to it.
    with file.open("rb") as handle:
        is_ledger = b"CREATE TABLE studies" in handle.read(_SCHEMA_BYTES)
    if not is_ledger:
        raise SweepError(
            f"{file} is no ledger of sweeps, and is not written to.", "Name another file with --storage."
        )


def _journal(file: Path) -> BaseStorage:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    from distill_core.outputs import Output

    if file.exists():
        _require_own_journal(file)
    else:
        Output(file)
    return JournalStorage(JournalFileBackend(str(file), lock_obj=_mending_lock(file)))


def _require_own_journal(file: Path) -> None:
    head = file.open("rb").read(512) if file.is_file() else b"?"
    if head and b'"op_code"' not in head.partition(b"\n")[0]:
        raise SweepError(
            f"{file} is no journal of sweeps, and is not written to.", "Name another file with --storage."
        )


def _mending_lock(file: Path) -> Any:  # noqa: ANN401 - a class of Optuna, which is imported late
    """Return a lock whose holder first cuts off what a killed process left of its last line.

    Optuna's own appends behind it, and from then on no process can read the journal.
    """
    from optuna.storages.journal import JournalFileOpenLock

    class MendingLock(JournalFileOpenLock):
        def acquire(self) -> bool:
            taken = super().acquire()
            mend_journal(file)
            return taken

    return MendingLock(str(file), grace_period=_JOURNAL_LOCK_SECONDS)


def mend_journal(file: Path) -> None:
    """Cut off a last line that does not end; hold the journal's lock."""
    with file.open("rb+") as handle:
        end = handle.seek(0, os.SEEK_END)
        start, tail = end, b""
        while start > 0 and b"\n" not in tail:
            start = max(0, start - 65536)
            handle.seek(start)
            tail = handle.read(end - start)
        whole = start + tail.rfind(b"\n") + 1
        if whole < end:
            handle.truncate(whole)


class UnreachableError(SweepError):
    """The storage of a ledger does not answer, or not as it should."""


def guarded(ask: Callable[[], T], place: StoragePlace) -> T:
    """Ask a storage; what fails there is told in a sentence.

    Raises:
        UnreachableError: It does not answer.
    """
    from optuna.exceptions import OptunaError, UpdateFinishedTrialError
    from sqlalchemy.exc import SQLAlchemyError

    try:
        return ask()
    except UpdateFinishedTrialError:
        raise
    except KeyError as error:
        raise SweepError(f"A sweep in {place.shown} was deleted by another program.") from error
    except (OptunaError, SQLAlchemyError, OSError, RuntimeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UnreachableError(
            told(f"The ledger of sweeps at {place.shown} does not answer: {reason.rstrip('.')}."),
            "Check the address and that the server runs; runs in progress are saved.",
        ) from error
