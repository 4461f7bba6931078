from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count, product

import msgspec
import numpy as np
import pytest
import torch

from distill_core.latency import (
    BlockTimed,
    LatencyFinished,
    LatencyStarted,
)
from distill_core.latency.timing import comparison
from distill_core.students import MemoryStudent, MlpStudent, ProjectionTransformer, Student
from distill_core.teacher import MultiHeadLDA
from tests.core.latency.planted_models import LDA_US, Models, drifting, finished, plant
from tests.core.latency.planted_times import PlantedClock

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
    assert result.single_ratio_interval == pytest.approx((3 / 1.01, 3 * 1.01))
    assert result.batch_ratio_interval == pytest.approx((3 / 1.01, 3 * 1.01))
    assert (result.lda.single_us.p50, result.lda.batch_us_per_query.p50) == pytest.approx((400.0, 40.0))
    assert (result.lda.single_qps, result.lda.batch_qps) == pytest.approx((2_500.0, 25_000.0))
    assert (result.transformer.single_qps, result.transformer.batch_qps) == pytest.approx(
        (2500 / 3, 25_000 / 3)
    )
    assert result.steady
    assert (result.batch_size, result.num_heads, result.device) == (10, 5, "cpu")


@pytest.fixture
def planted_three(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    """The folded student takes three times as long as the LDA, as it was trained twelve times."""
    lda, folded, unfolded = (clock.call_taking(LDA_US * factor) for factor in (1, 3, 12))
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lambda queries: lda())
    monkeypatch.setattr(
        comparison,
        "runner_call",
        lambda model, device: (
            lambda queries: unfolded() if isinstance(model, Student) else folded(),
            "tensors",
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
    assert result.unfolded.single_ratio_interval == pytest.approx((4 / 1.01, 4 * 1.01))
    assert result.unfolded.batch_ratio_interval == pytest.approx((4 / 1.01, 4 * 1.01))


def test_what_only_the_unfolded_form_suffers_leaves_the_ratio_and_is_told(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock, folding: Models
) -> None:
    """Its blocks take 1 to 5 times as long: the interval of its ratio is theirs, and they are unsteady."""
    steady, unsteady = clock.call_taking(1_000), drifting(clock, [1, 2, 3, 4, 5])
    monkeypatch.setattr(comparison, "lda_call", lambda teacher, device: lambda queries: steady())
    monkeypatch.setattr(
        comparison,
        "runner_call",
        lambda model, device: (
            lambda queries: unsteady() if isinstance(model, Student) else steady(),
            "tensors",
        ),
    )
    result = finished(folding.compare(blocks=5))
    assert result.unfolded is not None
    assert result.unfolded.single_ratio_interval == pytest.approx((1 / 1.01, 5 * 1.01))
    assert result.unfolded.batch_ratio == pytest.approx(3.0)
    assert result.single_ratio_interval == pytest.approx((1 / 1.01, 1.01))
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
    clock: PlantedClock,
    models: Models,
) -> None:
    """Five blocks of 80 single queries: 396 of 100 us, and four that the medians do not see.

    In each round a new copy settles by two calls with single queries and two with batches.
    """
    numbers = count()
    rare = {4 + 50: 101_000, 164 + 4 + 20: 103_000, 328 + 4 + 10: 500_000, 492 + 4 + 5: 900_000}

    def lda(rows: object) -> None:
        number = next(numbers) - 2 * (1 + 3 * 80)  # after the warm-up; then 80 single queries, 80 batches
        clock.nanoseconds += rare.get(number, 100_000)

    transformer = clock.call_taking(100)
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


@pytest.mark.parametrize(("largest", "built", "wider"), [(1 << 26, 1 + 3, 1.01), (12, 1, 1.04)])
def test_each_round_has_copies_of_its_own_unless_they_are_too_large(
    monkeypatch: pytest.MonkeyPatch,
    clock: PlantedClock,
    models: Models,
    largest: int,
    built: int,
    wider: float,
) -> None:
    teachers: list[MultiHeadLDA] = []
    call = clock.call_taking(1_000)

    def build(teacher: MultiHeadLDA, device: torch.device) -> Callable[[object], None]:
        teachers.append(teacher)
        return lambda rows: call()

    plant(monkeypatch, lambda rows: None, lambda rows: call())
    monkeypatch.setattr(comparison, "lda_call", build)
    monkeypatch.setattr(comparison, "LARGEST_COPY", largest)
    result = finished(models.compare(blocks=3))
    assert len({id(teacher) for teacher in teachers}) == len(teachers) == built
    assert (models.teacher in teachers) is (built == 1)
    assert {teacher.sha256() for teacher in teachers} == {models.teacher.sha256()}
    assert result.single_ratio_interval == pytest.approx((1 / wider, wider))


def test_the_interval_of_a_ratio_is_that_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock, models: Models
) -> None:
    """Ratios 1 to 5 in five blocks, which are too few for anything but the smallest and the largest."""
    lda, transformer = clock.call_taking(1_000), drifting(clock, [1, 2, 3, 4, 5])
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    result = finished(models.compare(blocks=5))
    for ratio, interval in (
        (result.single_ratio, result.single_ratio_interval),
        (result.batch_ratio, result.batch_ratio_interval),
    ):
        assert ratio == pytest.approx(3.0)
        assert interval == pytest.approx((1 / 1.01, 5 * 1.01))
    assert not result.steady


@pytest.mark.parametrize(("spread", "steady"), [(1.4, True), (1.6, False)])
def test_blocks_that_disagree_are_not_steady(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock, models: Models, spread: float, steady: bool
) -> None:
    lda, transformer = clock.call_taking(1_000), drifting(clock, [1.0] * 5 + [spread] * 5)
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    result = finished(models.compare(blocks=10))
    assert result.steady is steady
    assert result.single_ratio == pytest.approx((1.0 + spread) / 2)


# How sure the figures are


def test_every_figure_has_the_interval_of_its_blocks(
    monkeypatch: pytest.MonkeyPatch, clock: PlantedClock, models: Models
) -> None:
    """Blocks of 1 to 5 ms. The p90 is the largest drawn one, which is above 2 ms in 99 % of draws."""
    lda, transformer = drifting(clock, [1, 2, 3, 4, 5]), clock.call_taking(1_000)
    plant(monkeypatch, lambda rows: lda(), lambda rows: transformer())
    lda_times = finished(models.compare(blocks=5, batch_size=4)).lda
    assert lda_times.single_p50_interval == pytest.approx((1_000.0, 5_000.0))
    assert lda_times.single_p90_interval == pytest.approx((3_000.0, 5_000.0))
    assert lda_times.batch_interval == pytest.approx((250.0, 1_250.0))
    assert lda_times.batch_qps == pytest.approx(4e6 / 3_000), "slow blocks count"
    rates = [4e3 / np.mean(drawn) for drawn in product([1, 2, 3, 4, 5], repeat=5)]
    assert lda_times.offline_interval == pytest.approx(tuple(np.percentile(rates, [2.5, 97.5])), rel=0.05)
