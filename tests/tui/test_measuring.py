from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig
from distill_core.errors import DeviceError
from distill_core.latency import CrossoverEvent, CrossoverFinished, FieldEvent, FieldFinished
from distill_core.runs import RunFolder
from distill_core.students import new_student
from distill_tui import measuring
from distill_tui.crossover_limits import CrossoverLimits
from distill_tui.jobs import Job, JobState
from distill_tui.student_to_time import StudentToTime
from distill_tui.teacher.loading import load_teacher
from tests.tui import events

Search = Generator[CrossoverEvent, None, None]


def crossover(
    database: Path, monkeypatch: pytest.MonkeyPatch, search: Search, folder: RunFolder | None
) -> measuring.Crossover:
    """Return the job's events, with a made-up search."""
    monkeypatch.setattr(measuring, "find_crossover", lambda *arguments, samples: search)
    config = RunConfig(data=DataConfig(database=str(database)))
    timed = StudentToTime(folder.path if folder else None, new_student(config.student, 8, 4))
    return measuring.Crossover(load_teacher(database, 1), config, timed, CrossoverLimits())


def new_folder(database: Path, tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", RunConfig(data=DataConfig(database=str(database))))


def whole() -> Search:
    yield events.crossover_started()
    yield events.crossover_point(16)
    yield events.crossover_finished()


def broken() -> Search:
    yield events.crossover_started()
    yield events.crossover_point(16)
    yield events.crossover_point(32)
    raise DeviceError("The measurement at 64 heads failed: CUDA error")


def test_a_whole_search_is_kept_in_the_folder_of_the_run(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(database, tmp_path)
    assert folder.read_crossover() is None
    told = list(crossover(database, monkeypatch, whole(), folder))
    assert len(told) == 3
    assert folder.read_crossover() == events.crossover_finished()


def test_a_failure_leaves_the_points_before_it(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(database, tmp_path)
    search = crossover(database, monkeypatch, broken(), folder)
    told: list[CrossoverEvent] = []
    job = Job(lambda: iter(search), told.extend, search.conclude)
    outcome, error, trace = job.run()
    assert (outcome, trace) == (JobState.FAILED, "")
    assert error.startswith("The measurement at 64 heads failed")
    result = told[-1]
    assert isinstance(result, CrossoverFinished)
    assert [point.num_heads for point in result.curve] == [16, 32]
    assert (result.ended, result.machine) == ("interrupted", events.machine())
    assert folder.read_crossover() == result


def test_a_stop_leaves_the_points_before_it_and_closes_the_search(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []

    def endless() -> Search:
        try:
            yield events.crossover_started()
            for power in range(10_000):
                if power == 3:
                    job.stop()
                yield events.crossover_point(16 << min(power, 16))
        finally:
            closed.append(True)

    folder = new_folder(database, tmp_path)
    search = crossover(database, monkeypatch, endless(), folder)
    told: list[CrossoverEvent] = []
    job = Job(lambda: iter(search), told.extend, search.conclude)
    assert job.run() == (JobState.STOPPED, "", "")
    result = told[-1]
    assert isinstance(result, CrossoverFinished)
    assert [point.num_heads for point in result.curve] == [16, 32, 64, 128]
    assert closed == [True]
    assert folder.read_crossover() == result


def test_a_stop_before_the_first_point_keeps_nothing(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search = crossover(database, monkeypatch, whole(), None)
    job = Job(lambda: iter(search), lambda told: None, search.conclude)
    job.stop()
    assert job.run()[0] is JobState.STOPPED
    assert list(search.conclude()) == []


def test_a_comparison_of_everyone_that_fails_gives_its_rows(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __init__(self, *arguments: object) -> None:
            pass

        def __iter__(self) -> Generator[FieldEvent, None, None]:
            yield events.field_started()
            raise DeviceError("The measurement failed: CUDA error")

        def result(self) -> FieldFinished:
            return events.field_finished("interrupted")

    monkeypatch.setattr(measuring, "FieldComparison", Broken)
    config = RunConfig(data=DataConfig(database=str(database)))
    field = measuring.Contestants(load_teacher(database, 1), config, StudentToTime())
    told: list[FieldEvent] = []
    outcome, error, _ = Job(lambda: iter(field), told.extend, field.conclude).run()
    assert (outcome, error) == (JobState.FAILED, "The measurement failed: CUDA error")
    assert told == [events.field_started(), events.field_finished("interrupted")]
    stopped = Job(lambda: iter(field), told.extend, field.conclude)
    stopped.stop()
    assert stopped.run()[0] is JobState.STOPPED
    assert told[-1] == events.field_finished("interrupted")


def test_a_stopped_search_replaces_no_search_with_more_points(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(database, tmp_path)
    complete = events.crossover_finished()
    folder.write_crossover(complete)
    second = iter(crossover(database, monkeypatch, broken(), folder))
    next(second), next(second), next(second)
    second.close()  # type: ignore[attr-defined]
    assert folder.read_crossover() == complete


def test_a_search_that_is_left_in_the_middle_of_a_point_keeps_those_before(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process may be ended while a point is timed: what is on the disk by then is all there is."""
    folder = new_folder(database, tmp_path)
    kept: list[CrossoverFinished | None] = []

    def ended_in_the_third() -> Search:
        yield events.crossover_started()
        yield events.crossover_point(16)
        yield events.crossover_point(32)
        kept.append(folder.read_crossover())
        yield events.crossover_point(64)

    left = iter(crossover(database, monkeypatch, ended_in_the_third(), folder))
    for _ in range(4):
        next(left)
    (result,) = kept
    assert result is not None
    assert [point.num_heads for point in result.curve] == [16, 32]
    assert result.ended == "interrupted"


def test_contestants_are_kept_but_a_stopped_comparison_replaces_no_complete_one(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = new_folder(database, tmp_path)

    class Planted:
        def __init__(self, *arguments: object) -> None:
            pass

        def __iter__(self) -> Generator[FieldEvent, None, None]:
            yield events.field_started()
            yield events.field_finished()

        def result(self) -> FieldFinished:
            return events.field_finished("interrupted")

        def samples(self) -> dict[str, NDArray[np.float64]]:
            return {"lda, batch 1": np.array([5.0, 6.0])}

    monkeypatch.setattr(measuring, "FieldComparison", Planted)
    config = RunConfig(data=DataConfig(database=str(database)))
    timed = StudentToTime(folder.path, new_student(config.student, 8, 4))
    for events_taken, ended in ((1, "interrupted"), (2, "complete"), (1, "complete")):
        going = iter(measuring.Contestants(load_teacher(database, 1), config, timed))
        for _ in range(events_taken):
            next(going)
        going.close()  # type: ignore[attr-defined]
        kept = folder.read_contestants()
        assert kept is not None
        assert kept.ended == ended
    with np.load(folder.path / "contestants_samples.npz") as samples:
        assert samples["lda, batch 1"].tolist() == [5.0, 6.0]
