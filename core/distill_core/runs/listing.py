"""The rows of all runs in a folder; files that have not changed are read only once."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from distill_core.runs.clock import Clock
from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.listing_cache import MIN_NEW, Entry, FileSignature, keep_entries, load_entries
from distill_core.runs.summary import RunSummary, summarise

_LOOKED_AT = (
    "config.toml",
    "state.json",
    "data.json",
    "notes.json",
    "evaluation.json",
    "latency.json",
    "crossover.json",
    "metrics.jsonl",
    "checkpoints/last.safetensors",
    "checkpoints/best.safetensors",
)


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
        state = RunFolder(entry.summary.path, self._clock).shown(entry.state)
        return msgspec.structs.replace(entry.summary, state=state)


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
    return tuple(_file_signature(f"{path}/{name}") for name in _LOOKED_AT)


def _file_signature(file: str) -> FileSignature:
    try:
        found = os.stat(file)  # noqa: PTH116 - ten files of a thousand runs, each time
    except OSError as error:
        return error.errno or 0
    return found.st_mtime_ns, found.st_size, found.st_ino
