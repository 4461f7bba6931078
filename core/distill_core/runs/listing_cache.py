"""The rows of many runs, kept from one process to the next: reading all their files takes a second."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import write_atomically
from distill_core.runs.records import RunState
from distill_core.runs.summary import RunSummary
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
