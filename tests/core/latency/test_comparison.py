from __future__ import annotations

import gc
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, cycle, islice, product
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency import (
    BlockTimed,
    LatencyComparison,
    LatencyEvent,
    LatencyFinished,
    LatencySettings,
    LatencyStarted,
    compare_latency,
    samples_bytes,
)
from distill_core.latency.timing import comparison
from distill_core.latency.timing.calls import (
    given,
    lda_call,
    lda_form,
    query_batches,
    student_call,
    torch_lda_call,
)
from distill_core.students import MemoryStudent, MlpStudent, ProjectionTransformer, Student
from distill_core.teacher import MultiHeadLDA

Floats = NDArray[np.float32]
Project = Callable[[Any], object]

LDA_NS, STUDENT_NS = 400_000, 1_200_000
"""Planted times of one call: 20 and 6 calls fill a block of 8 ms."""


class FakeClock:
    """A clock that moves only when a planted call says how long it took."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def __call__(self) -> int:
        return self.nanoseconds

    def call_taking(self, *nanoseconds: int) -> Callable[[], None]:
        """A call that takes these times in turn."""
        times = cycle(nanoseconds)

        def call() -> None:
            self.nanoseconds += next(times)

        return call


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@dataclass(frozen=True)
class Models:
    """Two models and the queries that they are timed with."""

    teacher: MultiHeadLDA
    student: Student
    queries: Floats
    clock: Callable[[], int]

    def compare(self, *, device: str = "cpu", blocks: int = 2, **settings: int) -> Iterator[LatencyEvent]:
        return iter(self.comparison(device=device, blocks=blocks, **settings))

    def comparison(self, *, device: str = "cpu", blocks: int = 2, **settings: int) -> LatencyComparison:
        chosen = LatencySettings(device=device, blocks=blocks, **settings)
        return LatencyComparison(self.teacher, self.student, self.queries, chosen, clock=self.clock)


@pytest.fixture
def models(clock: FakeClock) -> Models:
    """A teacher and a student that does not fold."""
    rng = np.random.default_rng(0)
    teacher = MultiHeadLDA(3 * rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), 0.1)
    queries = rng.normal(size=(20, 8)).astype(np.float32)
    return Models(teacher, MlpStudent(8, 1, 12), queries, clock)


@pytest.fixture
def folding(models: Models) -> Models:
    """The same teacher, and the published encoder, which folds."""
    return replace(models, student=ProjectionTransformer(8, 2, 1, 12))


def drifting(clock: FakeClock, factors: Sequence[float]) -> Callable[[], None]:
    """A call of a millisecond that takes longer by a factor of its own in every block.

    A millisecond gives blocks of 8. Warm-up is one call and three blocks for each batch size, and each round
    has a block of both.
    """
    rounds = [round(1_000_000 * factor) for factor in factors for _ in range(2 * 8)]
    return clock.call_taking(*[1_000_000] * (2 * (1 + 3 * 8)), *rounds)


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


# Two contestants


@pytest.mark.usefixtures("planted")
def test_blocks_alternate_abba(models: Models) -> None:
    started, *blocks, last = models.compare(blocks=4, batch_size=10)
    assert isinstance(started, LatencyStarted)
    assert (started.num_heads, started.dimension, started.batch_size) == (5, 8, 10)
    assert (started.device, started.blocks) == ("cpu", 16)
    order = [(block.model, block.batch_size) for block in blocks if isinstance(block, BlockTimed)]
    pair = ["lda", "transformer"]
    forth, back = ([(model, size) for size in (1, 10) for model in one] for one in (pair, pair[::-1]))
    assert order == 2 * (forth + back)
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
    forth, back = ([(model, size) for size in (1, 10) for model in one] for one in (trio, trio[::-1]))
    assert order == 2 * (forth + back)
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
    events = list(replace(models, student=student, clock=time.perf_counter_ns).compare(threads=1))
    assert [event.model for event in events if isinstance(event, BlockTimed)][
        : len(models_timed)
    ] == models_timed
    result = finished(iter(events))
    assert (result.unfolded is not None) is ("unfolded" in models_timed)
    assert result.transformer.single_us.p50 > 0
    assert student.training


def test_a_file_of_the_time_before_folding_is_read(models: Models) -> None:
    """What earlier versions wrote has no `unfolded`, and all its other keys."""
    real = replace(models, clock=time.perf_counter_ns)
    written = msgspec.to_builtins(finished(real.compare()))
    for later in ("unfolded", "machine", "method", "ended"):
        del written[later]
    for model in ("lda", "transformer"):
        for name in ("single_p50_interval", "single_p90_interval", "batch_interval", "offline_interval"):
            del written[model][name]
    read = msgspec.convert(written, LatencyFinished)
    assert read.unfolded is None
    assert (read.ended, read.lda.single_p90_interval) == ("complete", None)


def test_percentiles_are_of_the_raw_times(
    monkeypatch: pytest.MonkeyPatch,
    clock: FakeClock,
    models: Models,
) -> None:
    """Five blocks of 80 single queries: 396 of 100 us, and four that the medians do not see."""
    numbers = count()
    rare = {50: 101_000, 160 + 20: 103_000, 320 + 10: 500_000, 480 + 5: 900_000}

    def lda(rows: object) -> None:
        number = next(numbers) - 2 * (1 + 3 * 80)  # after the warm-up; then 80 single queries, 80 batches
        clock.nanoseconds += rare.get(number, 100_000)

    transformer = clock.call_taking(100_000)
    plant(monkeypatch, lda, lambda rows: transformer())
    result = finished(models.compare(blocks=5, batch_size=4))
    times = np.full(400, 100.0)
    times[:4] = 101.0, 103.0, 500.0, 900.0
    got = result.lda.single_us
    assert (got.p50, got.p90) == pytest.approx((100.0, 100.0))
    # the 99th percentile lies at place 0.99 * 399 = 395.01 of the sorted times, between 100 and 101
    assert got.p99 == pytest.approx(100.0 + 0.01 * 1.0)
    assert result.lda.single_qps == pytest.approx(1e6 / times.mean())
    assert result.lda.outliers == 4  # the quartiles are both 100, so is the fence
    assert result.transformer.outliers == 0
    # batches, which are steady, have nothing of that
    assert (result.lda.offline_interval, result.lda.batch_interval) == ((40_000.0, 40_000.0), (25.0, 25.0))


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
        assert np.ndim(other) == 2
        np.testing.assert_array_equal(np.atleast_2d(one), other.numpy())
    queries = models.queries
    singles, batches = ([rows for rows in got["lda"] if np.ndim(rows) == ndim] for ndim in (1, 2))
    np.testing.assert_array_equal(np.array(singles[:20]), np.concatenate((queries[:16], queries[:4])))
    np.testing.assert_array_equal(batches[0], np.concatenate((queries, queries[:12])))
    np.testing.assert_array_equal(batches[1], np.concatenate((queries[12:], queries, queries[:4])))


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
    # batches wait once a block: nothing else takes time here, so that the most calls fill it
    assert result.transformer.batch_us_per_query.p50 == pytest.approx(2_000 / 4_096 / 4)
    assert result.device == "cuda"
    assert result.machine is not None
    assert result.machine.gpu == "Fast GPU"
    assert result.lda.single_us.p50 == pytest.approx(2_000.0)


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
    events = list(replace(models, clock=time.perf_counter_ns).compare(threads=1))
    result = json.loads(msgspec.json.encode(events[-1]))
    assert result["event"] == "finished"
    for model in ("lda", "transformer"):
        for times in (result[model]["single_us"], result[model]["batch_us_per_query"]):
            assert 0 < times["p50"] <= times["p90"] <= times["p99"]
        assert result[model]["single_qps"] > 0
    for ratio in ("single_ratio", "batch_ratio"):
        low, high = result[f"{ratio}_interval"]
        assert 0 < low <= result[ratio] <= high


# How sure the figures are


def test_every_figure_has_the_interval_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, models: Models
) -> None:
    """Blocks of 1 to 5 ms. The p90 is the largest drawn one, which is above 2 ms in 99 % of draws."""
    lda, transformer = drifting(clock, [1, 2, 3, 4, 5]), clock.call_taking(1_000_000)
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    lda_times = finished(models.compare(blocks=5, batch_size=4)).lda
    assert lda_times.single_p50_interval == pytest.approx((1_000.0, 5_000.0))
    assert lda_times.single_p90_interval == pytest.approx((3_000.0, 5_000.0))
    assert lda_times.batch_interval == pytest.approx((250.0, 1_250.0))
    assert lda_times.batch_qps == pytest.approx(4e6 / 3_000), "slow blocks count"
    rates = [4e3 / np.mean(drawn) for drawn in product([1, 2, 3, 4, 5], repeat=5)]
    assert lda_times.offline_interval == pytest.approx(tuple(np.percentile(rates, [2.5, 97.5])), rel=0.05)


# What was measured before a stop


def test_a_device_that_fails_is_one_sentence_and_keeps_the_rounds(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock, models: Models
) -> None:
    """Warm-up is 4 calls for each batch size of each model, blocks are one call."""
    numbers, slow = count(), clock.call_taking(9_000_000)

    def lda(rows: object) -> None:
        if next(numbers) == 8 + 2 * 3:
            raise RuntimeError("CUDA error: device lost\nmore lines")
        slow()

    plant(monkeypatch, lda, lambda rows: slow())
    failing = models.comparison(blocks=9)
    with pytest.raises(DeviceError, match=r"^The measurement failed: CUDA error: device lost$"):
        list(failing)
    result = failing.result()
    assert result is not None
    assert (result.ended, len(failing.samples()["lda, batch 1"])) == ("interrupted", 3)


@pytest.mark.usefixtures("planted")
def test_a_stopped_comparison_keeps_the_rounds_that_all_have(models: Models) -> None:
    """Four blocks a round; the stop comes inside the third."""
    stopped = models.comparison(blocks=6, batch_size=10)
    assert stopped.result() is None
    events = iter(stopped)
    list(islice(events, 1 + 3))
    assert stopped.result() is None, "the student has no batch yet"
    list(islice(events, 6))
    result = stopped.result()
    assert result is not None
    assert (result.ended, result.single_ratio, result.batch_ratio) == pytest.approx(("interrupted", 3.0, 3.0))
    assert result.method == "single-stream and offline, MLPerf-like, shortened"
    assert finished(events).ended == "complete"


@pytest.mark.usefixtures("planted")
def test_the_raw_samples_are_every_call(models: Models) -> None:
    done = models.comparison(blocks=4, batch_size=10)
    finished(iter(done))
    samples = done.samples()
    assert {name: (len(times), times[0]) for name, times in samples.items()} == {
        "lda, batch 1": (4 * 20, 400.0),
        "lda, batch 10": (4 * 20, 400.0),
        "transformer, batch 1": (4 * 6, 1_200.0),
        "transformer, batch 10": (4 * 6, 1_200.0),
    }
    with np.load(io.BytesIO(samples_bytes(samples))) as loaded:
        np.testing.assert_array_equal(loaded["lda, batch 10"], samples["lda, batch 10"])


# Nothing stands between the clock and the models


def test_the_lda_is_timed_by_its_own_method_on_its_own_query(models: Models) -> None:
    assert lda_call(models.teacher, torch.device("cpu")) == models.teacher.project
    cpu = torch.device("cpu")
    rows = [given(batch, lda_form(cpu), cpu) for batch in query_batches(models.queries, 1)]
    assert {np.asarray(row).shape for row in rows} == {(8,)}
    assert lda_form(torch.device("cuda")) == "tensors"


def test_nothing_sleeps_beside_a_model(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("sleeps"))
    lda_call(models.teacher, torch.device("cpu"))(models.queries[0])
    torch_lda_call(models.teacher, torch.device("cpu"))(torch.from_numpy(models.queries))
    student_call(models.student.eval())(torch.from_numpy(models.queries))


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
