"""The rows of all runs in a folder; files that have not changed are read only once."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from distill_core.runs.clock import Clock
from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.records import RunState
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

_Signature = tuple[tuple[int, int, int] | int, ...]


class _Entry(msgspec.Struct, frozen=True):
    """What a run's files said when they had these times and sizes."""

    signature: _Signature
    summary: RunSummary
    state: RunState | None


class RunListing:
    """Lists the runs of one folder, again and again."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root = root
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def read(self) -> tuple[RunSummary, ...]:
        """Return the runs, newest first; a folder that is not there has none.

        Raises:
            OSError: The folder cannot be read.
        """
        try:
            paths = _run_paths(self._root)
        except FileNotFoundError:
            paths = []
        self._entries = {path: self._look(path) for path in paths}
        shown = (self._shown(entry) for entry in self._entries.values())
        return tuple(sorted(shown, key=lambda summary: (summary.created, summary.path), reverse=True))

    def _look(self, path: str) -> _Entry:
        signature = _signature(path)
        known = self._entries.get(path)
        if known and known.signature == signature:
            return known
        return _Entry(signature, *summarise(RunFolder(path, self._clock)))

    def _shown(self, entry: _Entry) -> RunSummary:
        """Return a row with the state as it shows now: a process may be gone without a change on disk."""
        if entry.state is None or entry.state.state != "running":
            return entry.summary
        state = RunFolder(entry.summary.path, self._clock).shown(entry.state)
        return msgspec.structs.replace(entry.summary, state=state)


def _run_paths(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        return [
            entry.path
            for entry in entries
            if not entry.name.startswith(".") and entry.is_dir() and is_run(entry.path)
        ]


def _signature(path: str) -> _Signature:
    return tuple(_file_signature(f"{path}/{name}") for name in _LOOKED_AT)


def _file_signature(file: str) -> tuple[int, int, int] | int:
    try:
        found = os.stat(file)  # noqa: PTH116 - ten files of a thousand runs, each time
    except OSError as error:
        return error.errno or 0
    return found.st_mtime_ns, found.st_size, found.st_ino
