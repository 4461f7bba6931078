from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency import (
    CrossoverEvent,
    CrossoverFinished,
    CrossoverPoint,
    CrossoverSettings,
    CrossoverStarted,
    LatencySettings,
    find_crossover,
    finished_object,
    growing_teacher,
    summarised,
)
from distill_core.latency.timing import crossover_contestants as lineup
from distill_core.latency.timing.calls import AnyStudent, Form, Project, runner_call
from distill_core.students import (
    MemoryStudent,
    MlpStudent,
    ProjectionTransformer,
    Projector,
    Student,
    new_student,
)
from distill_core.students.kinds import running_cost, student_settings
from distill_core.teacher import MultiHeadLDA
from tests.core.latency.planted_times import PlantedClock

Floats = NDArray[np.float32]

QUERIES = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)


class PlantedStudent:
    """Any object with `project`; its time is planted."""

    def __init__(self, clock: PlantedClock, microseconds: float) -> None:
        self._call = clock.call_taking(microseconds)
        self.shapes: set[tuple[int, ...]] = set()

    def project(self, queries: Floats) -> Floats:
        self.shapes.add(queries.shape)
        self._call()
        return queries


class FoldingStudent(PlantedStudent):
    """A student that has a faster form."""

    def __init__(self, clock: PlantedClock, slow: float, fast: float) -> None:
        super().__init__(clock, slow)
        self._fast = PlantedStudent(clock, fast)

    def fold(self) -> PlantedStudent:
        return self._fast


@pytest.fixture
def clock() -> PlantedClock:
    return PlantedClock()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    """The LDA takes 300 us and half a microsecond a head; students that grow take 6,300 us."""

    def lda(teacher: MultiHeadLDA, device: torch.device) -> Project:
        call = clock.call_taking(300 + 0.5 * teacher.num_heads)
        return lambda queries: call()

    def runner(student: AnyStudent, device: torch.device) -> tuple[Project, Form]:
        if not isinstance(student, torch.nn.Module):
            return runner_call(student, device)
        call = clock.call_taking(6_300)
        return lambda queries: call(), "tensors"

    monkeypatch.setattr(lineup, "lda_call", lda)
    monkeypatch.setattr(lineup, "runner_call", runner)


def real_teacher() -> MultiHeadLDA:
    rng = np.random.default_rng(1)
    return MultiHeadLDA(3 + rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), 0.1)


def events(student: PlantedStudent, clock: PlantedClock, **settings: object) -> Iterator[CrossoverEvent]:
    chosen = msgspec.convert({"batch_sizes": (1, 4), "max_heads": 40_000, **settings}, CrossoverSettings)
    return find_crossover(real_teacher(), student, QUERIES, chosen, clock=clock)


@pytest.mark.usefixtures("planted")
def test_the_whole_search_finds_both_planted_crossings(clock: PlantedClock) -> None:
    student = PlantedStudent(clock, 2_300)
    started, *points, finished = events(student, clock, budget_seconds=600)
    assert isinstance(started, CrossoverStarted)
    assert isinstance(finished, CrossoverFinished)
    assert all(isinstance(point, CrossoverPoint) for point in points)
    for case in ("single", "batch_4"):
        for brackets, crossing in ((finished.fixed, 4_000), (finished.grown, 12_000)):
            bracket = brackets[case]
            assert bracket.low is not None
            assert bracket.high is not None
            assert bracket.low <= crossing <= bracket.high
            assert bracket.reached
    assert student.shapes == {(1, 8), (4, 8)}
    assert len(finished.curve) == len(points)
    assert (started.real_heads, started.max_heads, started.folded) == (5, 40_000, False)
    assert started.break_even.fixed_flops is None
    assert (started.published_single_heads, started.published_batch_heads) == (400, 27)


@pytest.mark.usefixtures("planted")
def test_a_student_that_folds_is_timed_folded(clock: PlantedClock) -> None:
    started, *_, finished = events(FoldingStudent(clock, 50_000, 1_300), clock, budget_seconds=600)
    assert isinstance(started, CrossoverStarted)
    assert isinstance(finished, CrossoverFinished)
    assert started.folded
    single = finished.fixed["single"]
    assert single.low is not None
    assert single.low <= 2_000 <= (single.high or 0)


@pytest.mark.usefixtures("planted")
def test_closing_stops_and_what_was_given_stands(clock: PlantedClock) -> None:
    threads = torch.get_num_threads()
    search = find_crossover(
        real_teacher(), PlantedStudent(clock, 2_300), QUERIES, CrossoverSettings(threads=1), clock=clock
    )
    given = list(itertools.islice(search, 8))
    search.close()
    assert torch.get_num_threads() == threads
    assert list(search) == []
    points = [event for event in given if isinstance(event, CrossoverPoint)]
    result = summarised(points, ended="interrupted")
    assert len(result.curve) == 7
    assert result.fixed["single"].measured_to == 32


def test_a_torch_student_is_left_as_it_was_and_knows_its_break_even() -> None:
    ticks = itertools.count(step=1_000_000)
    student = ProjectionTransformer(8, 2, 1, 12).train()
    state = torch.random.get_rng_state()
    search = find_crossover(
        real_teacher(),
        student,
        QUERIES,
        CrossoverSettings(max_heads=32, batch_sizes=(1,), budget_seconds=5),
        clock=lambda: next(ticks),
    )
    started, *points, finished = search
    assert isinstance(started, CrossoverStarted)
    assert isinstance(finished, CrossoverFinished)
    assert student.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert started.break_even.fixed_flops is not None
    # every call takes one tick of the clock, so nobody is faster
    assert [point.fixed.over_lda.value for point in points if isinstance(point, CrossoverPoint)] == [1.0, 1.0]
    assert not finished.fixed["single"].reached
    assert finished.fixed["single"].low is None


@pytest.mark.parametrize(
    ("student", "folds"),
    [
        (ProjectionTransformer(8, 2, 2, 12), True),
        (MemoryStudent(8, 2, 2, 5, 4), False),
        (MlpStudent(8, 2, 12), False),
    ],
    ids=lambda value: getattr(value, "KIND", None),
)
def test_every_kind_of_student_breaks_even_by_the_parameters_of_what_is_timed(
    student: Student, folds: bool
) -> None:
    """An LDA of N heads stores 16 N numbers at d = 8, so a student of P breaks even at P / 16 heads."""
    ticks = itertools.count(step=1_000_000)
    settings = CrossoverSettings(max_heads=16, batch_sizes=(1,), budget_seconds=5)
    started, point, _ = find_crossover(real_teacher(), student, QUERIES, settings, clock=lambda: next(ticks))
    assert isinstance(started, CrossoverStarted)
    assert isinstance(point, CrossoverPoint)
    assert started.folded is folds
    stored: Projector = student.fold()
    assert started.break_even.fixed_parameters == math.ceil(stored.num_parameters / 16)
    assert (stored.num_parameters < student.num_parameters) is folds
    assert point.fixed.layers == 2


@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
def test_a_student_that_exists_costs_what_its_settings_say(kind: str) -> None:
    config = student_settings(kind, {"heads": 2, "layers": 3, "ff_dim": 20, "slots": 6, "width": 4})
    assert running_cost(new_student(config, 8, 5)) == config.inference_cost(8, 5)
    assert running_cost(PlantedStudent(PlantedClock(), 1.0)) is None


@pytest.mark.usefixtures("planted")
def test_the_result_as_json_has_a_bracket_for_each_case(clock: PlantedClock) -> None:
    *_, finished = events(PlantedStudent(clock, 2_300), clock, budget_seconds=600)
    assert isinstance(finished, CrossoverFinished)
    told = json.loads(msgspec.json.encode(finished_object(finished)))
    assert told["event"] == "finished"
    for case in ("single", "batch_4"):
        assert set(told[case]) == {"low", "high", "reached", "measured_to", "limited_by"}
        assert told[case] == msgspec.to_builtins(finished.fixed[case])
        assert told["grown"][case] == msgspec.to_builtins(finished.grown[case])
    assert len(told["curve"]) == len(finished.curve)
    assert told["curve"][0]["num_heads"] == 16


# What is refused


def test_more_heads_than_fit_are_refused_with_the_number_that_does(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    fitting = growing_teacher.heads_that_fit(8)
    with pytest.raises(SettingsError, match=f"{fitting:,} do"):
        next(events(PlantedStudent(clock, 1.0), clock, max_heads=fitting + 1))


@pytest.mark.usefixtures("planted")
def test_by_default_as_many_heads_as_fit_are_taken(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock
) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    started = next(events(PlantedStudent(clock, 1.0), clock, max_heads=None))
    assert isinstance(started, CrossoverStarted)
    assert started.max_heads == started.heads_that_fit == growing_teacher.heads_that_fit(8)


def test_on_a_device_its_memory_counts_too(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    """A head takes 4 bytes for each of 2 x 8 numbers and of 2 x 4 scores, in 80 % of what is free."""
    free_bytes = 96_000_000
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_bytes, 10 * free_bytes))
    fitting = 800_000
    assert free_bytes * 0.8 / (4 * (16 + 8)) == fitting
    with pytest.raises(SettingsError, match="800,000 do"):
        next(events(PlantedStudent(clock, 1.0), clock, device="cuda", max_heads=fitting + 1))


def test_the_device_is_chosen_as_for_latency() -> None:
    assert CrossoverSettings().device == LatencySettings().device == "auto"


def test_without_queries_there_is_nothing_to_time(clock: PlantedClock) -> None:
    with pytest.raises(DistillError, match="no queries"):
        next(find_crossover(real_teacher(), PlantedStudent(clock, 1.0), np.empty((0, 8))))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        next(events(PlantedStudent(clock, 1.0), clock, device="cuda"))


def test_a_student_without_torch_cannot_leave_the_cpu(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1 << 34, 1 << 35))
    with pytest.raises(SettingsError, match="runs on the CPU only, not on cuda"):
        next(events(PlantedStudent(clock, 1.0), clock, device="cuda"))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_heads": 0},
        {"budget_seconds": 0.0},
        {"budget_seconds": float("nan")},
        {"batch_sizes": ()},
        {"batch_sizes": (1, 1)},
        {"batch_sizes": (0,)},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        CrossoverSettings(**settings)
    assert caught.value.field == next(iter(settings))
