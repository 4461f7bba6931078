"""One row of the table of runs, from the files of a run's folder, however damaged."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from distill_core.config import RunConfig
from distill_core.errors import DistillError
from distill_core.latency.events import LatencyFinished
from distill_core.runs.checkpoint_info import read_checkpoint_info, read_metadata
from distill_core.runs.folder import RunFolder
from distill_core.runs.metrics_reading import count_damaged
from distill_core.runs.records import RunNotes, RunState, ShownState

T = TypeVar("T")


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


class _Contents:
    """What can be read of a run; the rest becomes problems."""

    def __init__(self, run: RunFolder) -> None:
        self.problems: list[str] = []
        self.config: RunConfig | None = self._try(run.read_config)
        self.state: RunState | None = self._try(run.read_state)
        self.data = self._try(run.read_data)
        self.notes: RunNotes = self._try(run.read_notes) or RunNotes()
        self.evaluation = self._try(run.read_evaluation)
        self.latency: LatencyFinished | None = self._try(run.read_latency)
        self._try(run.read_crossover)
        self._check_metrics(run.metrics_path)
        for file, read in (
            (run.last_checkpoint, read_checkpoint_info),
            (run.best_checkpoint, read_metadata),
        ):
            self._check_checkpoint(file, read)

    def _try(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except DistillError as error:
            self.problems.append(error.message)
            return None

    def _check_metrics(self, file: Path) -> None:
        count = self._try(lambda: count_damaged(file)) if os.path.lexists(file) else 0
        if count:
            self.problems.append(f"{file} is damaged in {count} of the lines looked at.")

    def _check_checkpoint(self, file: Path, read: Callable[[Path], object]) -> None:
        if os.path.lexists(file):
            self._try(lambda: read(file))


def summarise(run: RunFolder) -> tuple[RunSummary, RunState | None]:
    """Return a run's row, with the state as its process wrote it, and that record, if it can be read.

    Never raises for what is in the folder: damaged files are named in the row.
    """
    contents = _Contents(run)
    config, state, data = contents.config, contents.state, contents.data
    evaluation, latency = contents.evaluation, contents.latency
    summary = RunSummary(
        name=contents.notes.name or run.name,
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
        tags=contents.notes.tags,
        pinned=contents.notes.pinned,
        problem=" ".join(contents.problems),
        content_sha256=data.content_sha256 if data else "",
    )
    return summary, state


def _time_of_folder(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name[:17], "%Y-%m-%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
