"""The rows of all runs in a folder; files that have not changed are read only once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import write_atomically
from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.new_folder import Clock
from distill_core.runs.records import RunState
from distill_core.runs.summary import RUN_FILES, RunSummary, progress_of, summarise
from distill_core.user_folders import cache_folder

logger = logging.getLogger(__name__)

MIN_RUNS = 64
"""Fewer are read as fast as this."""

MIN_NEW = 16
"""Fewer new or changed rows are not worth a write; a run that is trained changes all the time."""

_LAYOUT = f"3 {RunSummary.__struct_fields__} {RunState.__struct_fields__}"
"""Rows of another version are not taken."""

_UNSETTLED_NS = 2_000_000_000

FileSignature = tuple[int, int, int] | int
"""Time, size and inode of a file, or the number of the error where there is none."""


class Entry(msgspec.Struct, frozen=True):
    """What a run's files said when they had these signatures."""

    signature: tuple[FileSignature, ...]
    summary: RunSummary
    state: RunState | None

    @property
    def is_settled(self) -> bool:
        """Whether no file may change once more without its time changing: clocks of file systems tick."""
        times = [file[0] for file in self.signature if isinstance(file, tuple)]
        return abs(time.time_ns() - max(times, default=0)) > _UNSETTLED_NS


class _Kept(msgspec.Struct, frozen=True):
    layout: str
    entries: dict[str, Entry]


def load_entries(root: Path) -> dict[str, Entry]:
    """Return the rows kept of a folder of runs, by path; none where there are none, or they are damaged."""
    file = _file_of(root)
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        kept = msgspec.msgpack.decode(file.read_bytes(), type=_Kept) if file else None
        if kept is not None and kept.layout == _LAYOUT:
            return kept.entries
    return {}


def keep_entries(root: Path, entries: Mapping[str, Entry]) -> None:
    """Keep the rows of a folder with many runs; no failure is an error."""
    file = _file_of(root)
    if file is None or len(entries) < MIN_RUNS:
        return
    settled = {path: entry for path, entry in entries.items() if entry.is_settled}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, msgspec.msgpack.encode(_Kept(_LAYOUT, settled)))
    except (OSError, RunError, UnicodeError) as error:
        logger.debug("the rows of %s are not kept: %s", root, error)


def _file_of(root: Path) -> Path | None:
    folder = cache_folder()
    name = hashlib.sha256(str(root).encode("utf-8", "surrogateescape")).hexdigest()
    return folder / f"{name}.runs" if folder else None


class RunListing:
    """Lists the runs of one folder, again and again."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._entries: dict[str, Entry] | None = None

    def read(self) -> tuple[RunSummary, ...]:
        """Return the runs, newest first; a folder that is not there has none.

        Raises:
            OSError: The folder cannot be read.
        """
        try:
            paths = _run_paths(self._root)
        except FileNotFoundError:
            paths = []
        known = load_entries(self._root) if self._entries is None and paths else self._entries or {}
        self._entries = {path: _look(path, known.get(path), self._clock) for path in paths}
        if sum(entry is not known.get(path) for path, entry in self._entries.items()) >= MIN_NEW:
            keep_entries(self._root, self._entries)
        shown = (self._shown(entry) for entry in self._entries.values())
        return tuple(sorted(shown, key=lambda summary: (summary.created, summary.path), reverse=True))

    def _shown(self, entry: Entry) -> RunSummary:
        """Return a row with the state as it shows now: a process may be gone without a change on disk."""
        if entry.state is None or entry.state.state != "running":
            return entry.summary
        run = RunFolder(entry.summary.path, self._clock)
        state = run.shown(entry.state)
        progress = progress_of(run) if state == "running" else None
        return msgspec.structs.replace(entry.summary, state=state, progress=progress)


def _look(path: str, known: Entry | None, clock: Clock) -> Entry:
    signature = _signature(path)
    if known and known.signature == signature:
        return known
    return Entry(signature, *summarise(RunFolder(path, clock)))


def _run_paths(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        return [
            entry.path
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir() and is_run(entry.path)
        ]


def _signature(path: str) -> tuple[FileSignature, ...]:
    return tuple(_file_signature(f"{path}/{name}") for name in RUN_FILES)


def _file_signature(file: str) -> FileSignature:
    try:
        found = os.stat(file)  # noqa: PTH116 - ten files of a thousand runs, each time
    except OSError as error:
        return error.errno or 0
    return found.st_mtime_ns, found.st_size, found.st_ino
