"""Where vector files are: the paths are stored as they were given when the database was made.

They are relative to a working directory that may no longer exist, or absolute on another machine.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

BUNDLED_DATA = Path(__file__).parent / "demo_data"
"""Where the database is that comes with the package."""


class FoundFile(NamedTuple):
    """A vector file that exists.

    Attributes:
        path: Its absolute path.
        as_stored: Whether that is the stored path, relative ones taken from the database's folder or from the
            working directory.
        signature: Size in bytes, modification and change time in ns, and inode: differs when the file does.
    """

    path: str
    as_stored: bool
    signature: tuple[int, int, int, int]

    @property
    def folder(self) -> str:
        """The folder it is in."""
        return self.path.rpartition("/")[0] or "/"


def stamp_of(path: str) -> tuple[int, int, int, int] | None:
    """Return what changes with a file, as the signature of a found one; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - Path costs as much as the question
    except (OSError, ValueError):
        return None
    return _signature(status)


def _signature(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class PathRules:
    """Finds files by the path rules, with each folder listed once. Make a new one for each look.

    The rules, in order: an absolute path as stored; relative to the database; relative to its `embeddings/`;
    by file name in `embeddings/` and beside the database; only then a relative path as stored, from the
    working directory, which may hold another database's vectors under the very same names. There the bundled
    demo is never looked for. A path with backslashes is tried as it is and as a Windows path. A database that
    is a link counts as lying in its own folder first, then in its target's.
    """

    def __init__(self, database: Path) -> None:
        parents = dict.fromkeys((database.parent, database.resolve().parent))
        self.folders = tuple(folder.as_posix().rstrip("/") for folder in parents)
        bundled = database.resolve().is_relative_to(BUNDLED_DATA.resolve())
        self._working_directory = None if bundled else _working_directory()
        self._listings: dict[str, Mapping[str, os.DirEntry[str]] | None] = {}

    def find(self, stored: str) -> FoundFile | None:
        """Return the first file that the rules give for a stored path, or None."""
        here = () if self._working_directory is None else (self._working_directory,)
        plain = {_joined(folder, stored) for folder in (*self.folders, *here)}
        for candidate in self._candidates(stored):
            status = self._status(candidate)
            if status is not None and stat.S_ISREG(status.st_mode):
                return FoundFile(candidate, candidate in plain, _signature(status))
        return None

    def _candidates(self, stored: str) -> Iterator[str]:
        """Yield absolute paths. Text, not Path: there may be 10,000 of them."""
        forms = [stored, stored.replace("\\", "/")] if "\\" in stored else [stored]
        yield from (form for form in forms if form.startswith("/"))
        relative = [form for form in forms if not form.startswith("/")]
        for place in ("", "/embeddings"):
            yield from (f"{folder}{place}/{form}" for folder in self.folders for form in relative)
        name = forms[-1].rpartition("/")[2]
        for place in ("/embeddings", ""):
            yield from (f"{folder}{place}/{name}" for folder in self.folders)
        if self._working_directory is not None:
            yield from (f"{self._working_directory}/{form}" for form in relative)

    def _status(self, path: str) -> os.stat_result | None:
        folder, _, name = path.rpartition("/")
        if folder not in self._listings:
            self._listings[folder] = _listing(folder)
        listing = self._listings[folder]
        try:
            if listing is None:
                return Path(path).stat()
            return listing[name].stat() if name in listing else None
        except (OSError, ValueError):
            return None


def _joined(folder: str, path: str) -> str:
    return path if path.startswith("/") else f"{folder}/{path}"


def _working_directory() -> str | None:
    try:
        return Path.cwd().as_posix().rstrip("/")
    except OSError:
        return None


def _listing(folder: str) -> Mapping[str, os.DirEntry[str]] | None:
    """Return the folder's entries by name; None if it may be entered but not listed."""
    try:
        with os.scandir(folder or "/") as entries:
            return {entry.name: entry for entry in entries}
    except PermissionError:
        return None
    except (OSError, ValueError):
        return {}
