"""The rows of all runs in a folder, however damaged; files that have not changed are read only once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import DistillError, RunError
from distill_core.latency.events import LatencyFinished
from distill_core.runs.atomic_files import write_atomically
from distill_core.runs.checkpoint_info import read_checkpoint_info, read_metadata
from distill_core.runs.folder import RunFolder, is_run
from distill_core.runs.metrics import count_damaged
from distill_core.runs.new_folder import Clock, run_id
from distill_core.runs.records import DataRecord, EvaluationRecord, RunNotes, RunState, ShownState
from distill_core.user_folders import cache_folder


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a row. None, or an empty text, where something is not known, or not yet.

    Attributes:
        name: The user's name for it, else the folder's.
        path: The folder.
        projection: Number of the multi-head projection.
        temperature: The teacher's τ.
        cosine: Mean over the test queries.
        skill: 1 is the teacher, 0 a constant.
        latency_us: The student's 90th percentile, one query at a time.
        created: When the run was made.
        pinned: Whether it is the baseline.
        problem: What is damaged, each file by its path.
        train_seconds: Without pauses; of a run that was judged.
        epochs: Likewise.
        content_sha256: Of what it was trained on; empty in what an older version wrote.
    """

    name: str
    path: str
    state: ShownState
    database: str
    projection: int | None
    temperature: float | None
    student: str
    heads: int | None
    layers: int | None
    cosine_weight: float | None
    recipe: str
    seed: int | None
    cosine: float | None
    skill: float | None
    latency_us: float | None
    created: datetime
    tags: tuple[str, ...]
    pinned: bool
    problem: str
    content_sha256: str = ""
    train_seconds: float | None = None
    epochs: int | None = None

    @property
    def id(self) -> str:
        """The four digits by which its folder's name differs from others, in place of the whole name."""
        return run_id(Path(self.path).name)


def _require_whole_metrics(run: RunFolder) -> None:
    file = run.metrics_path
    count = count_damaged(file) if os.path.lexists(file) else 0
    if count:
        raise RunError(f"{file} is damaged in {count} of the lines looked at.")


def _if_there(file: Path, read: Callable[[Path], object]) -> object:
    return read(file) if os.path.lexists(file) else None


RUN_FILES: dict[str, Callable[[RunFolder], object]] = {
    "config.toml": RunFolder.read_config,
    "state.json": RunFolder.read_state,
    "data.json": RunFolder.read_data,
    "notes.json": RunFolder.read_notes,
    "evaluation.json": RunFolder.read_evaluation,
    "latency.json": RunFolder.read_latency,
    "crossover.json": RunFolder.read_crossover,
    "contestants.json": RunFolder.read_contestants,
    "metrics.jsonl": _require_whole_metrics,
    "checkpoints/last.safetensors": lambda run: _if_there(run.last_checkpoint, read_checkpoint_info),
    "checkpoints/best.safetensors": lambda run: _if_there(run.best_checkpoint, read_metadata),
}
"""The files of a run by which its row in a list changes, and what reads each, or raises if it is damaged."""


def summarise(run: RunFolder) -> tuple[RunSummary, RunState | None]:
    """Return a run's row, with the state as its process wrote it, and that record, if it can be read.

    Never raises for what is in the folder: damaged files are named in the row.
    """
    read, problems = _read_all(run)
    config: RunConfig | None = read["config.toml"]
    state: RunState | None = read["state.json"]
    data: DataRecord | None = read["data.json"]
    notes: RunNotes = read["notes.json"] or RunNotes()
    evaluation: EvaluationRecord | None = read["evaluation.json"]
    latency: LatencyFinished | None = read["latency.json"]
    summary = RunSummary(
        name=notes.name or run.name,
        path=str(run.path),
        state=state.state if state else "unknown",
        database=config.data.database if config else "",
        projection=config.data.mh_id if config else None,
        temperature=data.temperature if data else config.data.temperature if config else None,
        student=config.student.kind if config else "",
        heads=config.student.count("heads") if config else None,
        layers=config.student.count("layers") if config else None,
        cosine_weight=config.training.cosine_weight if config else None,
        recipe=config.training.recipe if config else "",
        seed=config.training.seed if config else None,
        cosine=evaluation.finished.evaluation.cosine.mean if evaluation else None,
        skill=evaluation.finished.skill if evaluation else None,
        latency_us=latency.transformer.single_us.p90 if latency else None,
        created=state.started if state else _time_of_folder(run.path),
        tags=notes.tags,
        pinned=notes.pinned,
        problem=" ".join(problems),
        content_sha256=data.content_sha256 if data else "",
        train_seconds=evaluation.finished.active_seconds if evaluation else None,
        epochs=evaluation.finished.epochs if evaluation else None,
    )
    return summary, state


def _read_all(run: RunFolder) -> tuple[dict[str, Any], list[str]]:
    """Return what each file of a run holds, None where it cannot be read, and what is wrong with those."""
    contents: dict[str, Any] = {}
    problems: list[str] = []
    for name, read in RUN_FILES.items():
        try:
            contents[name] = read(run)
        except DistillError as error:
            contents[name] = None
            problems.append(error.message)
    return contents, problems


def _time_of_folder(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name[:17], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


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
    return tuple(_file_signature(f"{path}/{name}") for name in RUN_FILES)


def _file_signature(file: str) -> FileSignature:
    try:
        found = os.stat(file)  # noqa: PTH116 - ten files of a thousand runs, each time
    except OSError as error:
        return error.errno or 0
    return found.st_mtime_ns, found.st_size, found.st_ino
