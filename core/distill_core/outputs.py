"""The one door for files that a user names to be written: nothing is lost that was not meant. No torch."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from distill_core.database import files_of, folder_of_vectors_around
from distill_core.errors import OutputError, RunError
from distill_core.runs.atomic_files import reason, write_atomically
from distill_core.runs.folder import is_run
from distill_core.user_folders import cache_folder

_DATABASE, _VECTORS = b"SQLite format 3\x00", b"\x93NUMPY"
_LOGS = ("-wal", "-shm", "-journal")
_CACHED = (".vectors", ".runs")
_ANOTHER = "Choose another place."


class Output:
    """A file that is to be written, checked before the work that fills it, and again when it is written.

    Whoever asks for it: no database and nothing that SQLite reads beside one, no vectors and nothing in a
    folder of them, no file of a run, of the cache or of `inputs`, nothing but a plain file. Links are
    followed, so that they stay links. Missing folders are made.

    Args:
        path: The file as the user named it.
        replace: Whether a file that exists may be replaced.
        inputs: Files, and folders of vectors, that are read meanwhile.

    Attributes:
        path: As given.

    Raises:
        OutputError: It must not, or cannot, be written; the hint says what to do.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, replace: bool = False, inputs: Iterable[Path | None] = ()
    ) -> None:
        self.path = Path(path)
        self._replace = replace
        self._inputs = tuple(file for place in inputs if place is not None for file in files_of(place))
        self._check()

    def write(self, content: bytes) -> Path:
        """Write the file under a temporary name and rename it; return `path`.

        Raises:
            OutputError: As above, or the disk is full.
        """
        file = self._check()
        try:
            write_atomically(file, content)
        except RunError as error:
            raise OutputError(error.message, f"{_ANOTHER[:-1]}, or make room.") from error
        self._replace = True  # it is our own now
        return self.path

    def _check(self) -> Path:
        """Return the file itself, behind all links."""
        try:
            file = self.path.resolve()
            status = _status(file)
            self._require_own(file, status)
            if status is not None and not self._replace:
                raise OutputError(
                    f"{self.path} exists already.", f"{_ANOTHER[:-1]}, or replace it with --force."
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=file.parent):  # what the system says beforehand is not always so
                pass
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
            raise self._unwritable(reason(error) if isinstance(error, OSError) else str(error)) from error
        return file

    def _require_own(self, file: Path, status: os.stat_result | None) -> None:
        """Refuse what holds something of ours or of the user's that no option may destroy."""
        if status is not None and stat.S_ISDIR(status.st_mode):
            raise OutputError(f"{self.path} is a folder.", "Name a file in it.")
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise OutputError(f"{self.path} is no plain file.", "Name one.")
        if any(_same(file, other) for other in self._inputs):
            raise self._refused("is what is read")
        head = _head(file) if status is not None else b""
        if head.startswith(_DATABASE) or any(_is_log(file, suffix) for suffix in _LOGS):
            raise self._refused("belongs to a database")
        if head.startswith(_VECTORS) or file.suffix.lower() == ".npy":
            raise self._refused("is a file of vectors")
        if folder_of_vectors_around(file.parent) is not None:
            raise self._refused("lies in a folder of vectors")
        if (folder := run_around(file.parent)) is not None:
            raise self._refused(f"belongs to the run {folder.name}")
        cache = cache_folder()
        if cache is not None and file.parent == cache.resolve() and _is_cached(file.name):
            raise self._refused("belongs to the cache")

    def _refused(self, why: str) -> OutputError:
        return OutputError(f"{self.path} {why}, which is never written over.", _ANOTHER)

    def _unwritable(self, why: str) -> OutputError:
        return OutputError(f"{self.path} cannot be written: {why}.", _ANOTHER)


def run_around(folder: Path) -> Path | None:
    """Return the run that a folder is, or lies in; None where there is none.

    A `config.toml` alone does not make a run of a folder: exports and other programs have one, too.
    """
    for place in (folder, *folder.parents):
        marks = sum(os.path.lexists(place / name) for name in ("state.json", "metrics.jsonl", "checkpoints"))
        if is_run(place) and marks and (marks > 1 or os.path.lexists(place / "config.toml")):
            return place
    return None


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


def _head(file: Path) -> bytes:
    with file.open("rb") as handle:
        return handle.read(len(_DATABASE))


def _same(file: Path, other: Path) -> bool:
    try:
        return file == other.resolve() or file.samefile(other)
    except OSError:
        return False


def _is_log(file: Path, suffix: str) -> bool:
    if not file.name.lower().endswith(suffix):
        return False
    database = file.with_name(file.name[: -len(suffix)] or ".")
    return database.is_file() and _head(database).startswith(_DATABASE)


def _is_cached(name: str) -> bool:
    return any(suffix in name for suffix in _CACHED)
