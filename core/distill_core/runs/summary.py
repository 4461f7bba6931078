"""A run in a row: what its files say, however damaged, and how far it is. No torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import DistillError, RunError
from distill_core.latency.events import LatencyFinished
from distill_core.runs.checkpoint_info import read_checkpoint_info, read_metadata
from distill_core.runs.folder import RunFolder
from distill_core.runs.metrics import count_damaged
from distill_core.runs.new_folder import run_id
from distill_core.runs.records import DataRecord, EvaluationRecord, RunNotes, RunState, ShownState
from distill_core.training.events import EpochFinished

_TAIL_BYTES = 8192
"""As much of the metrics holds the last epoch."""


class RunProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a run is that is being trained.

    Attributes:
        share: Of the time that it will take, from 0 to 1.
        eta_seconds: What it still needs, as it goes now.
        cosine: Of the last validation; None before the first.
    """

    share: float
    eta_seconds: float
    cosine: float | None


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
        content_sha256: Of what it was trained on; empty in what an older version wrote.
        train_seconds: Without pauses; of a run that was judged.
        epochs: Likewise.
        settings_id: The same for runs that differ in nothing but their seed and device; may be empty.
        progress: How far it is; None unless it is being trained.
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
    settings_id: str = ""
    progress: RunProgress | None = None

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
        settings_id=_settings_id(config) if config else "",
    )
    return summary, state


def _settings_id(config: RunConfig) -> str:
    """Return what runs have in common that differ in their seed and device alone."""
    training = config.training.with_values(seed=0, device="auto")
    return hashlib.sha256(msgspec.json.encode(config.with_values(training=training))).hexdigest()[:16]


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


def progress_of(run: RunFolder) -> RunProgress | None:
    """Return how far a run is by the last epoch that it has written; None before the first."""
    with contextlib.suppress(OSError, DistillError, msgspec.ValidationError):
        tail = max(run.metrics_path.stat().st_size - _TAIL_BYTES, 0)
        for line in reversed(run.read_metrics(tail).lines):
            if line.get("event") == "epoch":
                epoch = msgspec.convert(line, EpochFinished)
                seconds = epoch.active_seconds + epoch.eta_seconds
                return RunProgress(
                    share=epoch.active_seconds / seconds if seconds else 0.0,
                    eta_seconds=epoch.eta_seconds,
                    cosine=epoch.validation.cosine if epoch.validation else None,
                )
    return None
