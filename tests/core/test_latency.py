from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, cycle
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency import (
    BlockTimed,
    LatencyEvent,
    LatencyFinished,
    LatencySettings,
    LatencyStarted,
    compare_latency,
    comparison,
    timing,
)
from distill_core.latency.calls import lda_call, student_call
from distill_core.latency.timing import Contestant, count_outliers
from distill_core.students import MemoryStudent, MlpStudent, ProjectionTransformer, Student
from distill_core.teacher import MultiHeadLDA

Floats = NDArray[np.float32]
Project = Callable[[Any], object]

LDA_NS, STUDENT_NS = 400_000, 1_200_000
"""Planted times of one call: 50 and 17 calls fill a block of 20 ms."""


class FakeClock:
    """A clock that moves only when a planted call says how long it took."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9

    def call_taking(self, *nanoseconds: int) -> Callable[[], None]:
        """A call that takes these times in turn."""
        times = cycle(nanoseconds)

        def call() -> None:
            self.nanoseconds += next(times)

        return call


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    monkeypatch.setattr(timing, "time", fake)
    return fake


@dataclass(frozen=True)
class Models:
    """Two models and the queries that they are timed with."""

    teacher: MultiHeadLDA
    student: Student
    queries: Floats

    def compare(self, *, device: str = "cpu", blocks: int = 2, **settings: int) -> Iterator[LatencyEvent]:
        chosen = LatencySettings(device=device, blocks=blocks, **settings)
        return compare_latency(self.teacher, self.student, self.queries, chosen)


@pytest.fixture
def models() -> Models:
    """A teacher and a student that does not fold."""
    rng = np.random.default_rng(0)
    teacher = MultiHeadLDA(3 * rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), 0.1)
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    return Models(teacher, MlpStudent(8, 1, 12), queries)


@pytest.fixture
def folding(models: Models) -> Models:
    """The same teacher, and the published encoder, which folds."""
    return replace(models, student=ProjectionTransformer(8, 2, 1, 12))


def nothing() -> None:
    pass


def contestant(
    *calls: Callable[[], object],
    batch_size: int = 1,
    calls_per_block: int = 5,
    synchronize: Callable[[], None] = nothing,
) -> Contestant:
    return Contestant("lda", batch_size, calls, synchronize, calls_per_block)


def drifting(clock: FakeClock, factors: Sequence[float]) -> Callable[[], None]:
    """A call of a millisecond that takes longer by a factor of its own in every block.

    A millisecond gives ten calls of warm-up, and blocks of 20; the same again for the second batch size.
    """
    a_block = [round(1_000_000 * factor) for factor in factors for _ in range(20)]
    return clock.call_taking(*[1_000_000] * 10, *a_block)


def plant(monkeypatch: pytest.MonkeyPatch, lda: Project, student: Project) -> None:
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lda)
    monkeypatch.setattr(comparison, "student_call", lambda model: student)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    """The student takes three times as long, and a batch no longer than one query."""
    lda, student = clock.call_taking(LDA_NS), clock.call_taking(STUDENT_NS)
    plant(monkeypatch, lambda queries: lda(), lambda queries: student())


def finished(events: Iterator[LatencyEvent]) -> LatencyFinished:
    *_, last = events
    assert isinstance(last, LatencyFinished)
    return last


# One contestant


def test_a_time_is_of_the_call_and_of_waiting_for_the_device(clock: FakeClock) -> None:
    model = contestant(clock.call_taking(3_000), synchronize=clock.call_taking(4_000), calls_per_block=5)
    assert model.time_block() == pytest.approx(7.0)
    assert model.us_per_query().tolist() == pytest.approx([7.0] * 5)


def test_every_raw_time_is_kept_a_query(clock: FakeClock) -> None:
    model = contestant(clock.call_taking(8_000, 16_000, 80_000), batch_size=4, calls_per_block=3)
    assert model.time_block() == pytest.approx(4.0)
    assert model.time_block() == pytest.approx(4.0)
    assert model.us_per_query().tolist() == pytest.approx([2.0, 4.0, 20.0] * 2)
    assert model.block_medians().tolist() == pytest.approx([4.0, 4.0])


def test_the_inputs_are_taken_in_turn() -> None:
    taken: list[int] = []
    calls = [lambda number=number: taken.append(number) for number in range(3)]
    contestant(*calls, calls_per_block=7).time_block()
    assert taken == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("nanoseconds", "calls"), [(100_000, 200), (300_000, 67), (4_000_000, 5), (9_000_000, 5)]
)
def test_warming_up_finds_how_many_calls_fill_a_block(clock: FakeClock, nanoseconds: int, calls: int) -> None:
    model = contestant(clock.call_taking(nanoseconds))
    model.warm_up()
    assert model.calls_per_block == calls
    assert model.blocks_us == []


def test_warming_up_goes_on_until_two_groups_agree(clock: FakeClock) -> None:
    groups = [8, 6, 4, 3, 2, 1.5, 1.0, 1.04, 0.1]
    times = [round(milliseconds * 1e6) for milliseconds in groups for _ in range(5)]
    model = contestant(clock.call_taking(*times))
    model.warm_up()
    assert clock.nanoseconds == sum(times[: 8 * 5])
    assert model.calls_per_block == round(20 / 1.04)


def test_warming_up_what_never_agrees_ends_after_a_second(clock: FakeClock) -> None:
    growing = (1_000_000 * 1.1 ** (number // 5) for number in count())

    def call() -> None:
        clock.nanoseconds += round(next(growing))

    contestant(call).warm_up()
    # groups of 5 calls that each take 1.1 times the one before are over a second after 32 of them
    assert 1.0 < clock.perf_counter() < 1.0 + 5 * 0.001 * 1.1**32


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_no_garbage_is_collected_in_a_block_and_then_as_before(enabled: bool, fails: bool) -> None:
    seen: list[bool] = []

    def call() -> None:
        seen.append(gc.isenabled())
        if fails:
            raise KeyError

    (gc.enable if enabled else gc.disable)()
    try:
        model = contestant(call, calls_per_block=2)
        if fails:
            with pytest.raises(KeyError):
                model.time_block()
        else:
            model.time_block()
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert seen == [False] if fails else [False, False]


def test_outliers_lie_beyond_the_outer_fence() -> None:
    # quartiles of 1 to 5 are 2 and 4, the fence is 4 + 3 * 2 = 10; of the seven times they are 2.5 and 8
    assert count_outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 0
    assert count_outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 11.0, 100.0])) == 1
    assert count_outliers(np.array([1.0] * 98 + [1.5, 0.2])) == 1


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60))
def test_outliers_by_sorting(times: list[int]) -> None:
    ordered = sorted(times)

    def quantile(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    fence = quantile(0.75) + 3 * (quantile(0.75) - quantile(0.25))
    assert count_outliers(np.array(times, dtype=np.float64)) == sum(time > fence + 1e-6 for time in times)


# Two contestants


@pytest.mark.usefixtures("planted")
def test_blocks_alternate_abba(models: Models) -> None:
    started, *blocks, last = models.compare(blocks=4, batch_size=10)
    assert isinstance(started, LatencyStarted)
    assert (started.num_heads, started.dimension, started.batch_size) == (5, 8, 10)
    assert (started.device, started.blocks) == ("cpu", 16)
    order = [(block.model, block.batch_size) for block in blocks if isinstance(block, BlockTimed)]
    pair = ["lda", "transformer"]
    assert order == [(model, size) for size in (1, 10) for model in 2 * (pair + pair[::-1])]
    assert [(block.done, block.total) for block in blocks if isinstance(block, BlockTimed)] == [
        (done, 16) for done in range(1, 17)
    ]
    assert isinstance(last, LatencyFinished)


@pytest.mark.usefixtures("planted")
def test_a_student_planted_three_times_slower_is_three_times_slower(models: Models) -> None:
    events = list(models.compare(blocks=4, batch_size=10))
    medians = {
        (event.model, event.batch_size): event.median_us_per_query
        for event in events
        if isinstance(event, BlockTimed)
    }
    assert medians == pytest.approx(
        {("lda", 1): 400.0, ("transformer", 1): 1200.0, ("lda", 10): 40.0, ("transformer", 10): 120.0}
    )
    result = finished(iter(events))
    assert (result.single_ratio, result.batch_ratio) == pytest.approx((3.0, 3.0))
    assert result.single_ratio_interval == pytest.approx((3.0, 3.0))
    assert result.batch_ratio_interval == pytest.approx((3.0, 3.0))
    assert (result.lda.single_us.p50, result.lda.batch_us_per_query.p50) == pytest.approx((400.0, 40.0))
    assert (result.lda.single_qps, result.lda.batch_qps) == pytest.approx((2_500.0, 25_000.0))
    assert (result.transformer.single_qps, result.transformer.batch_qps) == pytest.approx(
        (2500 / 3, 25_000 / 3)
    )
    assert result.steady
    assert (result.batch_size, result.num_heads, result.device) == (10, 5, "cpu")


@pytest.fixture
def planted_three(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    """The folded student takes three times as long as the LDA, as it was trained twelve times."""
    lda, folded, unfolded = (clock.call_taking(LDA_NS * factor) for factor in (1, 3, 12))
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lambda queries: lda())
    monkeypatch.setattr(
        comparison,
        "student_call",
        lambda model: (
            (lambda queries: unfolded()) if isinstance(model, Student) else (lambda queries: folded())
        ),
    )


@pytest.mark.usefixtures("planted_three")
def test_three_contestants_go_forwards_and_backwards(folding: Models) -> None:
    started, *blocks, last = folding.compare(blocks=4, batch_size=10)
    assert isinstance(started, LatencyStarted)
    assert started.blocks == 3 * 2 * 4
    order = [(block.model, block.batch_size) for block in blocks if isinstance(block, BlockTimed)]
    trio = ["lda", "transformer", "unfolded"]
    assert order == [(model, size) for size in (1, 10) for model in 2 * (trio + trio[::-1])]
    assert [(block.done, block.total) for block in blocks if isinstance(block, BlockTimed)] == [
        (done, 24) for done in range(1, 25)
    ]
    assert isinstance(last, LatencyFinished)


@pytest.mark.usefixtures("planted_three")
def test_the_ratio_is_of_the_folded_student_and_the_other_form_stands_beside_it(folding: Models) -> None:
    result = finished(folding.compare(blocks=4, batch_size=10))
    assert (result.single_ratio, result.batch_ratio) == pytest.approx((3.0, 3.0))
    assert result.transformer.single_us.p50 == pytest.approx(1_200.0)
    assert result.unfolded is not None
    assert result.unfolded.single_us.p50 == pytest.approx(4_800.0)
    assert result.unfolded.batch_us_per_query.p50 == pytest.approx(480.0)
    assert result.unfolded.single_qps == pytest.approx(1e6 / 4_800)
    assert (result.unfolded.single_ratio, result.unfolded.batch_ratio) == pytest.approx((4.0, 4.0))
    assert result.unfolded.single_ratio_interval == pytest.approx((4.0, 4.0))
    assert result.unfolded.batch_ratio_interval == pytest.approx((4.0, 4.0))


def test_what_only_the_unfolded_form_suffers_leaves_the_ratio_and_is_told(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, folding: Models
) -> None:
    """Its blocks take 1 to 5 times as long: the interval of its ratio is theirs, and they are unsteady."""
    steady, unsteady = clock.call_taking(1_000_000), drifting(clock, [1, 2, 3, 4, 5])
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lambda queries: steady())
    monkeypatch.setattr(
        comparison,
        "student_call",
        lambda model: lambda queries: unsteady() if isinstance(model, Student) else steady(),
    )
    result = finished(folding.compare(blocks=5))
    assert result.unfolded is not None
    assert result.unfolded.single_ratio_interval == pytest.approx((1.0, 5.0))
    assert result.unfolded.batch_ratio == pytest.approx(3.0)
    assert result.single_ratio_interval == pytest.approx((1.0, 1.0))
    assert not result.steady


@pytest.mark.parametrize(
    ("student", "models_timed"),
    [
        (ProjectionTransformer(8, 2, 2, 12), ["lda", "transformer", "unfolded"]),
        (MemoryStudent(8, 2, 2, 5, 4), ["lda", "transformer"]),
        (MlpStudent(8, 2, 12), ["lda", "transformer"]),
    ],
    ids=lambda value: getattr(value, "KIND", None),
)
def test_every_kind_of_student_is_timed(models: Models, student: Student, models_timed: list[str]) -> None:
    events = list(replace(models, student=student).compare(threads=1))
    assert [event.model for event in events if isinstance(event, BlockTimed)][
        : len(models_timed)
    ] == models_timed
    result = finished(iter(events))
    assert (result.unfolded is not None) is ("unfolded" in models_timed)
    assert result.transformer.single_us.p50 > 0
    assert student.training


def test_a_file_of_the_time_before_folding_is_read(models: Models) -> None:
    """What earlier versions wrote has no `unfolded`, and all its other keys."""
    written = msgspec.to_builtins(finished(models.compare()))
    del written["unfolded"]
    assert msgspec.convert(written, LatencyFinished).unfolded is None


def test_percentiles_are_of_the_raw_times(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    models: Models,
) -> None:
    """Two blocks of 200 calls: 396 of 100 us, and four that the medians do not see, two of them outliers."""
    numbers = count()
    rare = {50: 101_000, 100: 103_000, 150: 500_000, 250: 900_000}

    def lda(rows: object) -> None:
        number = next(numbers) - 10  # after two groups of warm-up
        clock.nanoseconds += rare.get(number, 100_000)

    transformer = clock.call_taking(100_000)
    plant(monkeypatch, lda, lambda rows: transformer())
    result = finished(models.compare(blocks=2, batch_size=4))
    times = np.full(400, 100.0)
    times[:4] = 101.0, 103.0, 500.0, 900.0
    got = result.lda.single_us
    assert (got.p50, got.p90) == pytest.approx((100.0, 100.0))
    # the 99th percentile lies at place 0.99 * 399 = 395.01 of the sorted times, between 100 and 101
    assert got.p99 == pytest.approx(100.0 + 0.01 * 1.0)
    assert result.lda.single_qps == pytest.approx(1e6 / times.mean())
    assert result.lda.outliers == 4  # the quartiles are both 100, so is the fence
    assert result.transformer.outliers == 0


def test_the_interval_of_a_ratio_is_that_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, models: Models
) -> None:
    """Ratios 1 to 5 in five blocks: the median of five drawn from them is 1 in 5.8 % of the draws, or 5."""
    lda, transformer = clock.call_taking(1_000_000), drifting(clock, [1, 2, 3, 4, 5])
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    result = finished(models.compare(blocks=5))
    for ratio, interval in (
        (result.single_ratio, result.single_ratio_interval),
        (result.batch_ratio, result.batch_ratio_interval),
    ):
        assert ratio == pytest.approx(3.0)
        assert interval == pytest.approx((1.0, 5.0))
    assert not result.steady


@pytest.mark.parametrize(("spread", "steady"), [(1.4, True), (1.6, False)])
def test_blocks_that_disagree_are_not_steady(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, models: Models, spread: float, steady: bool
) -> None:
    lda, transformer = clock.call_taking(1_000_000), drifting(clock, [1.0] * 5 + [spread] * 5)
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    result = finished(models.compare(blocks=10))
    assert result.steady is steady
    assert result.single_ratio == pytest.approx((1.0 + spread) / 2)


def test_both_models_get_the_same_queries(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    models: Models,
) -> None:
    got: dict[str, list[Any]] = {"lda": [], "transformer": []}
    call = clock.call_taking(1_000_000)

    def recording(model: str) -> Project:
        def project(rows: object) -> None:
            got[model].append(rows)
            call()

        return project

    plant(monkeypatch, recording("lda"), recording("transformer"))
    list(models.compare(batch_size=32))
    assert {type(rows) for rows in got["lda"]} == {np.ndarray}
    assert {type(rows) for rows in got["transformer"]} == {torch.Tensor}
    for one, other in zip(got["lda"], got["transformer"], strict=True):
        np.testing.assert_array_equal(one, other.numpy())
    # after 10 calls of warm-up a block of 20 calls takes 16 inputs in turn
    queries = models.queries
    singles, batches = ([rows for rows in got["lda"] if len(rows) == size] for size in (1, 32))
    np.testing.assert_array_equal(np.concatenate(singles[10:30]), np.concatenate((queries[:16], queries[:4])))
    np.testing.assert_array_equal(batches[10], np.concatenate((queries, queries[:12])))
    np.testing.assert_array_equal(batches[11], np.concatenate((queries[12:], queries, queries[:4])))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pulls", [1, 3, None])
def test_the_student_is_timed_in_evaluation_and_comes_back_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    models: Models,
    training: bool,
    pulls: int | None,
) -> None:
    modes: list[bool] = []
    call = clock.call_taking(5_000_000)
    student = models.student.train(training)

    def transformer(rows: object) -> None:
        modes.append(student.training)
        call()

    plant(monkeypatch, lambda rows: call(), transformer)
    events = models.compare()
    for _ in zip(events, range(pulls) if pulls else count(), strict=False):
        pass
    events.close()  # type: ignore[attr-defined]
    assert not any(modes)
    assert student.training is training


def test_an_error_while_timing_leaves_the_student_as_it_was(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    plant(monkeypatch, lambda rows: 1 / 0, lambda rows: None)
    models.student.train()
    with pytest.raises(ZeroDivisionError):
        list(models.compare())
    assert models.student.training
    assert gc.isenabled()


@pytest.mark.usefixtures("planted")
def test_threads_hold_while_timing_only(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    threads = [7]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    result = finished(models.compare(threads=2))
    assert result.threads == 2
    assert threads == [7, 2, 7]


def test_on_another_device_both_models_run_there(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    models: Models,
) -> None:
    """A machine with a pretended cuda: what moves there is recorded, and stays on the CPU."""
    student_at, moved, waited = [], [], []

    def student_to(self: MlpStudent, device: torch.device) -> MlpStudent:
        student_at.append(str(device))
        return self

    def tensor_to(self: torch.Tensor, device: torch.device) -> torch.Tensor:
        moved.append((tuple(self.shape), str(device)))
        return self

    def wait(device: torch.device) -> None:
        waited.append(str(device))
        clock.nanoseconds += 2_000_000

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    monkeypatch.setattr(MlpStudent, "to", student_to)
    monkeypatch.setattr(torch.Tensor, "to", tensor_to)
    result = finished(models.compare(device="auto", batch_size=4))
    assert student_at == ["cuda", "cpu"]
    assert {device for _, device in moved} == {"cuda"}
    assert {(8, 5), (5, 8), (1, 8), (4, 8)} == {shape for shape, _ in moved}
    assert set(waited) == {"cuda"}
    assert result.device == "cuda"
    assert result.machine is not None
    assert result.machine.gpu == "Fast GPU"
    assert result.lda.single_us.p50 == pytest.approx(2_000.0)
    assert result.transformer.batch_us_per_query.p50 == pytest.approx(500.0)


def test_the_lda_of_other_devices_is_the_same_function(
    monkeypatch: pytest.MonkeyPatch, models: Models
) -> None:
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    call = lda_call(models.teacher, torch.device("cuda"))
    for rows in (models.queries, 1e-3 * models.queries[:1]):
        projected = call(torch.from_numpy(rows))
        assert isinstance(projected, torch.Tensor)
        np.testing.assert_allclose(projected.numpy(), models.teacher.project(rows), rtol=0, atol=1e-5)


def test_on_the_cpu_the_models_themselves_are_timed(models: Models) -> None:
    lda = lda_call(models.teacher, torch.device("cpu"))
    np.testing.assert_array_equal(np.asarray(lda(models.queries)), models.teacher.project(models.queries))
    projected = student_call(models.student.eval())(torch.from_numpy(models.queries))
    assert isinstance(projected, torch.Tensor)
    assert projected.is_inference()
    np.testing.assert_allclose(projected, models.student.project(models.queries), rtol=0, atol=1e-6)


def test_with_the_real_clock_every_figure_is_a_positive_number(models: Models) -> None:
    events = list(models.compare(threads=1))
    result = json.loads(msgspec.json.encode(events[-1]))
    assert result["event"] == "finished"
    for model in ("lda", "transformer"):
        for times in (result[model]["single_us"], result[model]["batch_us_per_query"]):
            assert 0 < times["p50"] <= times["p90"] <= times["p99"]
        assert result[model]["single_qps"] > 0
    for ratio in ("single_ratio", "batch_ratio"):
        low, high = result[f"{ratio}_interval"]
        assert 0 < low <= result[ratio] <= high


# What is refused


@pytest.mark.parametrize("shape", [(0, 8), (8,), (2, 3, 8)])
def test_without_queries_there_is_nothing_to_time(models: Models, shape: tuple[int, ...]) -> None:
    with pytest.raises(DistillError, match="no queries to time"):
        next(compare_latency(models.teacher, models.student, np.ones(shape)))


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    models.student.train()
    with pytest.raises(DeviceError):
        next(models.compare(device="cuda"))
    assert models.student.training


@pytest.mark.parametrize("field", ["batch_size", "blocks"])
def test_settings_out_of_range_are_refused(field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        LatencySettings(**{field: 0})  # type: ignore[arg-type]
    assert caught.value.field == field
