"""Runs as files, written by the store itself and without training; and the work of threads, done here."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.runs import DataRecord, EvaluationRecord, RunFolder, RunNotes, RunStore, RunSummary
from distill_core.runs.recording.checkpoint import save_weights
from distill_core.students import EncoderConfig, new_student, student_bytes
from distill_core.training.events import EpochFinished, TestEvaluated
from tests.tui import events
from tests.tui.stage import Stage

NOON = datetime(2026, 7, 11, 12, 0, tzinfo=UTC)
OF_RUNS = ("list", "measured", "remarks", "compare", "curves", "runs")
"""The groups of threads that read and change runs; the others load, train and watch."""


@dataclass
class Made:
    """What a run on disk is to be like; each is made an hour after the one before."""

    name: str
    hour: int = 0
    heads: int = 4
    seed: int = 0
    database: str = "/data/n18/lda.db"
    cosines: dict[int, float] = field(default_factory=dict)
    """By query; a run with some is finished."""
    mean: float = 0.9
    epochs: Iterable[EpochFinished] = ()


def root() -> Path:
    """Return where the runs of this test are."""
    return Path(os.environ["DISTILL_TUI_RUNS"])


def store() -> RunStore:
    """Return a store that has read nothing yet."""
    return RunStore(root())


def make_run(made: Made) -> RunFolder:
    """Write a run."""
    now = NOON + timedelta(hours=made.hour)
    config = RunConfig(
        data=DataConfig(database=made.database),
        student=EncoderConfig(heads=made.heads),
        training=TrainingConfig(seed=made.seed, recipe="book", epochs=10),
    )
    run = RunFolder.create(root(), config, lambda: now)
    run.write_notes(RunNotes(name=made.name))
    run.write_data(
        DataRecord(database_sha256="ab" * 32, mh_id=1, temperature=0.1, train=(), validation=(), test=())
    )
    with run.open_metrics() as metrics:
        metrics.append(events.run_started())
        for epoch in made.epochs:
            metrics.append(epoch)
    if made.cosines:
        tested = TestEvaluated(question_ids=tuple(made.cosines), cosines=tuple(made.cosines.values()))
        finished = events.run_finished(mean=made.mean)
        run.write_evaluation(EvaluationRecord(finished=finished, tested=tested))
        run.mark("finished")
    return run


def work_off(stage: Stage) -> None:
    """Do what the app has asked threads to do with runs."""
    wanted = stage.jobs.wanted
    waiting = [(group, work) for group, work in wanted if group in OF_RUNS]
    wanted[:] = [(group, work) for group, work in wanted if group not in OF_RUNS]
    for _group, work in waiting:
        work()


async def answer(stage: Stage) -> None:
    """Do what was asked for, and what that leads to."""
    for _ in range(4):
        work_off(stage)
        await stage.settle()


async def show_runs(stage: Stage) -> None:
    """Go to the screen of the runs, with the runs that are on disk."""
    await stage.go("runs")
    await answer(stage)


def made_up_runs() -> tuple[RunSummary, ...]:
    """Return five runs in all their states, newest first, that are nowhere on disk."""
    first = RunSummary(
        name="baseline",
        path="runs/2026-07-11T0900-n18-0a0a",
        state="finished",
        database="/data/n18/lda.db",
        projection=1,
        temperature=0.1,
        student="encoder",
        heads=4,
        layers=2,
        cosine_weight=0.7,
        recipe="strong",
        seed=0,
        cosine=0.9712,
        skill=0.913,
        latency_us=212.4,
        created=NOON,
        tags=("thesis",),
        pinned=True,
        problem="",
    )
    unknown = {"cosine": None, "skill": None, "latency_us": None, "pinned": False, "tags": ()}
    others: tuple[dict[str, object], ...] = (
        {"name": "one layer", "layers": 1, "cosine": 0.9589, "skill": 0.877, "latency_us": 120.9},
        {"name": "2026-07-11T0600-n18-3d3d", "state": "running", "student": "memory", "heads": 1},
        {"name": "too fast", "state": "failed", "recipe": "book", "seed": 3},
        {"name": "half a file", "state": "stopped", "problem": "data.json is damaged: it ends too early."},
    )
    names = ("2026-07-11T0700-n18-2c2c", "2026-07-11T0600-n18-3d3d", "2026-07-11T0500-n18-4e4e", "old")
    return (
        first,
        *(
            replace(
                first, **unknown | other | {"path": f"runs/{name}", "created": NOON - timedelta(hours=hour)}
            )
            for hour, (other, name) in enumerate(zip(others, names, strict=True), 1)
        ),
    )


def with_weights(database: Path, **made: object) -> RunFolder:
    """Write a run of the database's first projection whose weights can be told from untrained ones."""
    folder = make_run(Made("mine", database=str(database), **made))  # type: ignore[arg-type]
    student = new_student(folder.read_config().student, 8, 4)
    for parameter in student.parameters():
        parameter.data.fill_(0.25)
    save_weights(folder.best_checkpoint, student_bytes(student, folder.read_config()))
    return folder


async def open_first(stage: Stage, mode: str) -> None:
    """Open the first run on disk, and go to a screen."""
    await show_runs(stage)
    await stage.press("enter")
    await answer(stage)
    await stage.go(mode)
