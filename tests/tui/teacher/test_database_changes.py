"""The database changes under the open app: what is shown follows, and results keep to what they are of."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from distill_core.config import SplitConfig, TrainingConfig
from distill_core.latency import Measurement
from distill_core.latency.measurement import Samples
from distill_core.students import EncoderConfig
from distill_core.teacher import MultiHeadLDA
from distill_tui.jobs import JobState
from distill_tui.student.desk import RunSettings
from tests.core.database_factory import write_lda_db
from tests.tui.runs_on_disk import store
from tests.tui.stage import PromptJobs, Stage, staged

SETTINGS = RunSettings(
    SplitConfig(),
    EncoderConfig(heads=2, layers=1, ff_dim=8),
    TrainingConfig(recipe="book", epochs=1, device="cpu", threads=1),
)


class Planted(Measurement[Any, Any]):
    """A measurement that does what a test wants in place of measuring, and has no result."""

    name, result_type = "planted", int

    def __init__(
        self, begin: Callable[[MultiHeadLDA], Iterator[object]], teacher: MultiHeadLDA, *_of: object
    ) -> None:
        self._begin = partial(begin, teacher)

    def __iter__(self) -> Iterator[object]:
        return self._begin()

    def result(self) -> None:
        return None

    def samples(self) -> Samples:
        return {}

    def is_better_than(self, kept: object) -> bool:
        return False


def rewrite(database: Path) -> None:
    """Put another database, with its vectors, in the place of one."""
    folder = database.parent
    other = write_lda_db(folder / "new", num_heads=3, questions_per_head=8, path_style="beside")
    shutil.rmtree(folder / "embeddings")
    shutil.move(other.parent / "embeddings", folder)
    other.replace(database)


def retemper(database: Path) -> None:
    """Change the temperatures in a write-ahead log only, which stays; the database file is as it was."""
    connection = sqlite3.connect(database)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE multi_head_projections SET temperature = 0.3 WHERE mh_projection_id = 1")
    connection.commit()
    log = Path(f"{database}-wal").read_bytes()
    connection.close()
    Path(f"{database}-wal").write_bytes(log)


def respell(database: Path) -> None:
    """Rewrite the centroid of a head in its place; the database itself is untouched."""
    file = database.parent / "embeddings" / "mh_1_cluster_1_centroid.npy"
    np.save(file, -np.load(file))


def drop(database: Path) -> None:
    """Take projection 1 away."""
    with sqlite3.connect(database) as connection:
        connection.execute("DELETE FROM multi_head_projections WHERE mh_projection_id = 1")


CHANGES = {"replaced": rewrite, "temperature in the log": retemper, "a vector": respell}
Change = Callable[[Path], None]


def changed_words(stage: Stage) -> list[str]:
    return [note.message for note in stage.app._notifications if note.title == "Database changed"]


def header(stage: Stage) -> tuple[int, float]:
    view = stage.app.teacher.view
    assert view is not None
    return view.projection.num_heads, view.teacher.temperature


async def train(stage: Stage, on_event: Change | None = None) -> None:
    """Train one epoch; the database is changed after the run has read it."""
    stage.app.student.publish(SETTINGS)
    await stage.settle()
    if on_event is not None:
        fold = stage.app.jobs.tell

        def tell(then: Callable[[object], object], value: object) -> None:
            stage.app.jobs.tell = fold  # type: ignore[method-assign]
            fold(then, value)
            on_event(stage.database)

        stage.app.jobs.tell = tell  # type: ignore[method-assign]
    assert stage.app.training.start()
    await stage.settle()
    assert stage.app.training.view.error == ""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_run_is_shown_under_what_it_has_read(database: Path, change: Change) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        before = stage.app.teacher.view
        change(database)
        await train(stage)
        run = stage.app.training.view
        assert run.started is not None
        assert run.teacher is not None
        assert run.finished is not None
        assert header(stage) == (run.started.num_heads, run.started.temperature)
        assert run.teacher.content == stage.app.teacher.view.content != before.content  # type: ignore[union-attr]
        table = stage.app.teacher.database.view
        assert table is not None
        assert table.projections[0].num_heads == run.started.num_heads
        assert table.projections[0].temperature == run.started.temperature
        assert len(changed_words(stage)) == 1
        assert str(database) in changed_words(stage)[0]
        await stage.go("validate")
        assert stage.screen.query_one("#verdict-pane").border_subtitle == ""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_before_the_result_leaves_the_run_its_own_header(
    database: Path, change: Change
) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        before = stage.app.teacher.view
        assert before is not None
        await train(stage, change)
        run = stage.app.training.view
        assert run.finished is not None
        assert run.teacher is not None
        assert run.teacher.content == before.content
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.content != before.content
        assert len(changed_words(stage)) == 1
        await stage.go("validate")
        title = stage.screen.query_one("#verdict-pane").border_subtitle
        assert title == "of another teacher than the open one"
        assert not stage.app.training.has_student_of(stage.run_config())


@pytest.mark.parametrize("kind", ["comparison", "crossover", "contestants"])
async def test_a_measurement_is_of_what_is_there(
    database: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[int] = []

    def begin(teacher: MultiHeadLDA) -> Iterator[object]:
        heads.append(teacher.num_heads)
        return iter(())

    async with staged(database, jobs=PromptJobs) as stage:
        desk = getattr(stage.app.latency, kind)
        desk.kind = replace(desk.kind, load=lambda: partial(Planted, begin))
        rewrite(database)
        assert desk.start()
        await stage.settle()
        assert heads == [3]
        assert (desk.view.state, header(stage)[0]) == (JobState.FINISHED, 3)
        assert len(changed_words(stage)) == 1

        database.unlink()
        assert desk.start()
        await stage.settle()
        assert heads == [3]
        assert (desk.view.state, str(database) in desk.view.error) == (JobState.FAILED, True)


async def test_a_measurement_whose_database_changes_meanwhile_is_not_shown_under_the_new_one(
    database: Path,
) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        desk = stage.app.latency.comparison

        def begin(teacher: object) -> Iterator[object]:
            rewrite(database)
            yield object()

        desk.kind = replace(desk.kind, load=lambda: partial(Planted, begin))
        assert desk.start()
        await stage.settle()
        assert header(stage)[0] == 3
        assert desk.view.state is JobState.IDLE
        assert desk.view.started is None


async def test_the_student_of_another_content_is_not_timed_as_this_ones(database: Path) -> None:
    """Opened from its folder, the run says what it was trained on."""
    async with staged(database, jobs=PromptJobs) as stage:
        await train(stage)
        config = stage.run_config()
        assert stage.app.latency.student_to_time(config).is_trained
        respell(database)
        stage.app.latency.comparison.start()
        await stage.settle()
        assert not stage.app.latency.comparison.view.trained


async def test_a_save_says_that_the_database_has_changed(database: Path, tmp_path: Path) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        await train(stage)
        rewrite(database)
        stage.app.training.save_student(tmp_path / "s.safetensors")
        await stage.settle()
        assert (tmp_path / "s.safetensors").is_file()
        assert len(changed_words(stage)) == 1
        assert header(stage)[0] == 3


async def test_a_projection_that_is_gone_gives_way_to_the_first_there_is(database: Path) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        drop(database)
        stage.app.teacher.look()
        await stage.settle()
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.projection.id == 2
        assert "Projection 1 is gone." in changed_words(stage)[0]


async def test_what_is_only_touched_is_not_news_and_the_chosen_temperature_stays(database: Path) -> None:
    async with staged(database, jobs=PromptJobs) as stage:
        view = stage.app.teacher.view
        assert view is not None
        stage.app.teacher.publish(view.at(0.25))
        with sqlite3.connect(database) as connection:
            connection.execute("CREATE TABLE log (line TEXT)")
        stage.app.teacher.look()
        await stage.settle()
        assert changed_words(stage) == []
        assert stage.app.teacher.view is not None
        assert stage.app.teacher.view.queries is view.queries
        rewrite(database)
        os.utime(database)
        stage.app.teacher.look()
        await stage.settle()
        assert header(stage) == (3, 0.25)
        assert len(changed_words(stage)) == 1


async def test_an_opened_run_of_another_content_is_not_shown_under_this_one(database: Path) -> None:
    """Path, projection and temperature are the same; the texts and the header are not the run's."""
    async with staged(database, jobs=PromptJobs) as stage:
        await train(stage)
        (summary,) = store().list()
        view = stage.app.teacher.view
        assert view is not None
        assert view.is_of_run(summary)
        respell(database)
        await stage.show_teacher()
        stage.app.training.open(summary)
        assert stage.app.training.view.teacher is None
        view = stage.app.teacher.view
        assert view is not None
        assert not view.is_of_run(summary)
        assert view.is_of_run(msgspec.structs.replace(summary, content_sha256=""))
