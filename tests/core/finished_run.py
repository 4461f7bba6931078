"""A small run that came to its end, for tests of what is made from runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.runs import RecordedRun, RunFolder
from distill_core.students.kinds import student_settings
from tests.core.database_factory import write_lda_db


def small_config(database: Path, kind: str = "encoder") -> RunConfig:
    return RunConfig(
        data=DataConfig(database=str(database)),
        student=student_settings(
            kind, {"heads": 2, "layers": 2, "ff_dim": 12, "slots": 3, "width": 4, "dropout": 0.1}
        ),
        training=TrainingConfig(
            epochs=3, batch_size=16, learning_rate=5e-3, seed=4, device="cpu", recipe="book"
        ),
    )


def finish_run(root: Path, kind: str = "encoder") -> RunFolder:
    """Train a student of 4 heads in 8 dimensions to its end, in `root/runs` on `root/db`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_TUI_CACHE", str(root / "cache"))
        config = small_config(write_lda_db(root / "db", questions_per_head=10), kind)
        run = RecordedRun(RunFolder.create(root / "runs", config))
        list(run)
    return run.folder


def stop_run(root: Path, epochs: int = 2) -> RunFolder:
    """Train likewise, and stop after some epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISTILL_TUI_CACHE", str(root / "cache"))
        config = small_config(write_lda_db(root / "db", questions_per_head=10))
        run = RecordedRun(RunFolder.create(root / "runs", config))
        events = iter(run)
        for event in events:
            if getattr(event, "epoch", 0) == epochs:
                break
        events.close()
    return run.folder


def copy_run(folder: RunFolder, root: Path) -> RunFolder:
    """Copy a run, to damage it."""
    target = root / folder.name
    for file in folder.path.rglob("*"):
        if file.is_file():
            place = target / file.relative_to(folder.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.read_bytes())
    return RunFolder.open(target)
