"""Which student is measured, and what of a measurement a run keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig
from distill_core.errors import DeviceError, RunError
from distill_core.latency import (
    ContestantsComparison,
    ContestantsEvent,
    ContestantsFinished,
    Crossover,
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    Measurement,
)
from distill_core.latency.timing import crossover as module
from distill_core.runs import RecordedMeasurement, RunFolder, StudentToTime, keep
from distill_core.students import MlpConfig, MlpStudent, new_student, save_student
from distill_core.teacher import MultiHeadLDA
from tests.tui import events

RNG = np.random.default_rng(0)
TEACHER = MultiHeadLDA(RNG.normal(size=(4, 8)), RNG.normal(size=(4, 8)), 0.1)
QUERIES = RNG.normal(size=(6, 8))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", RunConfig(data=DataConfig(database="lda.db")))


Recorded = RecordedMeasurement[CrossoverEvent, CrossoverFinished]
Search = Callable[[Sequence[int | Exception]], Recorded]


@pytest.fixture
def search(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> Search:
    """A crossover of the run whose points are planted by their N; an error is raised in its turn."""

    class Planted:
        ended = "complete"
        wanted: Sequence[int | Exception] = ()

        def __init__(self, *contestants: object, **options: object) -> None:
            self.points: list[CrossoverPoint] = []
            self.samples: dict[str, NDArray[np.float64]] = {}

        def __iter__(self) -> Iterator[CrossoverPoint]:
            for one in self.wanted:
                if isinstance(one, Exception):
                    raise one
                self.points.append(events.crossover_point(one))
                self.samples[f"lda, N {one}, batch 1"] = np.array([float(one)])
                yield self.points[-1]

    def searching(wanted: Sequence[int | Exception]) -> Recorded:
        Planted.wanted = wanted
        return RecordedMeasurement(Crossover(TEACHER, MlpStudent(8, 1, 4), QUERIES), run)

    monkeypatch.setattr(module, "CrossoverSearch", Planted)
    return searching


def heads(result: object) -> list[int]:
    assert isinstance(result, CrossoverFinished)
    return [point.num_heads for point in result.curve]


def test_a_whole_search_is_kept_with_its_samples(run: RunFolder, search: Search) -> None:
    assert run.read_crossover() is None
    recorded = search([16, 32])
    *_, result = recorded
    assert run.read_crossover() == result
    assert heads(result) == [16, 32]
    assert recorded.is_kept
    assert list(recorded.conclude()) == [], "the result is told once"
    with np.load(run.path / "crossover_samples.npz") as samples:
        assert sorted(samples) == ["lda, N 16, batch 1", "lda, N 32, batch 1"]


def test_a_failure_leaves_the_points_before_it(run: RunFolder, search: Search) -> None:
    told: list[object] = []
    with pytest.raises(DeviceError, match="CUDA error"):
        told.extend(search([16, 32, DeviceError("CUDA error")]))
    assert heads(told[-1]) == [16, 32]
    assert run.read_crossover() == told[-1]


def test_a_stop_leaves_the_points_before_it(run: RunFolder, search: Search) -> None:
    recorded = search([16, 32, 64])
    going = iter(recorded)
    list(islice(going, 3))
    going.close()  # type: ignore[attr-defined]
    kept = run.read_crossover()
    assert kept is not None
    assert (heads(kept), kept.ended) == ([16, 32], "interrupted")
    assert list(recorded.conclude()) == [kept]


def test_a_stop_before_the_first_point_keeps_and_tells_nothing(run: RunFolder, search: Search) -> None:
    recorded = search([16])
    going = iter(recorded)
    next(going)
    going.close()  # type: ignore[attr-defined]
    assert list(recorded.conclude()) == []
    assert (run.read_crossover(), recorded.is_kept) == (None, None)


def test_a_process_that_is_ended_in_the_middle_of_a_point_has_kept_those_before(
    run: RunFolder, search: Search
) -> None:
    """What is on the disk by then is all there is; the raw samples come at the end."""
    going = iter(search([16, 32, 64]))
    list(islice(going, 3))
    kept = run.read_crossover()
    assert kept is not None
    assert (heads(kept), kept.ended) == ([16, 32], "interrupted")
    assert not (run.path / "crossover_samples.npz").exists()
    going.close()  # type: ignore[attr-defined]
    assert (run.path / "crossover_samples.npz").exists()


def stopped(recorded: Recorded, points: int) -> bool | None:
    going = iter(recorded)
    list(islice(going, 1 + points))
    going.close()  # type: ignore[attr-defined]
    return recorded.is_kept


def test_a_stopped_search_needs_more_points_and_a_whole_one_replaces_any(
    run: RunFolder, search: Search
) -> None:
    assert stopped(search([16, 32, 64]), 2)
    assert not stopped(search([16, 32, 64]), 1)
    assert stopped(search([16, 32, 64]), 2), "the newer one of two alike"
    list(search([16, 32]))
    assert not stopped(search([16, 32, 64]), 2), "the kept one is complete"
    assert stopped(search([16, 32, 64, 128]), 3)
    list(search([16]))
    assert heads(run.read_crossover()) == [16]


def test_a_damaged_result_is_replaced(run: RunFolder, search: Search) -> None:
    run.result_path("crossover").write_bytes(b"{")
    *_, result = search([16])
    assert run.read_crossover() == result


class PlantedContestants(ContestantsComparison):
    """A comparison that has a result from its first event on."""

    def __init__(self) -> None:
        self._ended = "interrupted"

    def __iter__(self) -> Iterator[ContestantsEvent]:
        yield events.contestants_started()
        self._ended = "complete"
        yield self.result()

    def result(self) -> ContestantsFinished:
        return events.contestants_finished(self._ended)

    def samples(self) -> dict[str, NDArray[np.float64]]:
        return {"lda, batch 1": np.array([5.0, 6.0])}


def test_a_stopped_comparison_replaces_no_complete_one(run: RunFolder) -> None:
    for events_taken, ended in ((1, "interrupted"), (2, "complete"), (1, "complete")):
        recorded = RecordedMeasurement(PlantedContestants(), run)
        going = iter(recorded)
        list(islice(going, events_taken))
        going.close()  # type: ignore[attr-defined]
        kept = run.read_contestants()
        assert kept is not None
        assert kept.ended == ended
    with np.load(run.path / "contestants_samples.npz") as samples:
        assert samples["lda, batch 1"].tolist() == [5.0, 6.0]


def test_a_result_that_cannot_be_written_is_still_told(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise RunError("The disk is full.")

    monkeypatch.setattr(RunFolder, "write_result", full)
    told: list[object] = []
    with pytest.raises(RunError, match="disk is full"):
        told.extend(RecordedMeasurement(PlantedContestants(), run))
    assert told == [events.contestants_started(), events.contestants_finished()]


def test_without_a_run_nothing_is_kept_and_all_is_told() -> None:
    recorded = RecordedMeasurement(PlantedContestants(), None)
    assert len(list(recorded)) == 2
    assert recorded.is_kept is None


def test_keep_tells_whether_it_has_replaced(run: RunFolder) -> None:
    complete, cut_short = PlantedContestants(), PlantedContestants()
    list(complete)
    measured: Measurement[ContestantsEvent, ContestantsFinished]
    for measured, kept in ((cut_short, True), (complete, True), (cut_short, False)):
        assert keep(run, measured) is kept


# Which student


def test_a_student_is_of_memory_of_a_file_of_a_run_or_untrained(run: RunFolder, tmp_path: Path) -> None:
    student = MlpStudent(8, 1, 4)
    file = save_student(student, tmp_path / "student.safetensors")
    settings = MlpConfig(layers=2)
    for timed, is_trained in (
        (StudentToTime(student), True),
        (StudentToTime(file), True),
        (StudentToTime(settings), False),
        (StudentToTime.of_run(run, student), True),
    ):
        assert (timed.is_trained, timed.is_there) == (is_trained, True)
    assert StudentToTime(student).load(8, 4) is StudentToTime.of_run(run, student).load(8, 4) is student
    np.testing.assert_array_equal(StudentToTime(file).load(8, 4).project(QUERIES), student.project(QUERIES))
    assert StudentToTime(settings).load(8, 4).shape == new_student(settings, 8, 4).shape


def test_a_run_without_a_trained_student_says_so(run: RunFolder) -> None:
    timed = StudentToTime.of_run(run)
    assert not timed.is_there
    with pytest.raises(RunError, match="has no trained student yet"):
        timed.load(8, 4)
