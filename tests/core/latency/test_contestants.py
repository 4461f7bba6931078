from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency import (
    ContestantRow,
    ContestantsComparison,
    ContestantsFinished,
    ContestantsSettings,
    ContestantsStarted,
    RoundTimed,
)
from distill_core.latency.measurement import pareto_best
from distill_core.latency.timing import contestants as module
from distill_core.latency.timing.calls import TimedCalls
from distill_core.latency.timing.forms import Absent, Contestant
from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA
from tests.core.latency.planted_times import PlantedClock

Floats = NDArray[np.float32]

QUERIES = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)


def teacher() -> MultiHeadLDA:
    rng = np.random.default_rng(1)
    return MultiHeadLDA(rng.normal(size=(5, 8)), rng.normal(size=(5, 8)), 0.1)


def planted_contestant(
    clock: PlantedClock, name: str, us: Callable[[int], float], answer: Callable[[Floats], Floats], size: int
) -> Contestant:
    """Return one whose time is planted for each batch size."""

    def project(queries: object) -> Floats:
        assert isinstance(queries, np.ndarray)
        clock.call_taking(us(len(queries)))()
        return answer(queries)

    return Contestant(name, project, "arrays", size // 4, size)


@pytest.fixture
def clock() -> PlantedClock:
    return PlantedClock()


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, clock: PlantedClock) -> None:
    """LDA 98 us and 2 us a query; a small one half as fast, at cosine 0; a slow, large one; one absent."""
    lda = teacher()

    def turned(queries: Floats) -> Floats:
        answers = lda.project(queries)
        answers[:, 0::2], answers[:, 1::2] = answers[:, 1::2].copy(), -answers[:, 0::2].copy()
        return answers

    def contestants(*of: object, compiled: bool) -> Iterator[Contestant | Absent]:
        yield planted_contestant(clock, "LDA", lambda n: 98 + 2.0 * n, lda.project, 400)
        yield planted_contestant(clock, "small", lambda n: 200.0, turned, 40)
        yield Absent("missing", "needs something")
        yield planted_contestant(clock, "slow", lambda n: 400.0 * n, lda.project, 4_000)

    monkeypatch.setattr(module, "contestants", contestants)


def comparison(clock: PlantedClock, **settings: object) -> ContestantsComparison:
    chosen = msgspec.convert({"device": "cpu", "blocks": 4, **settings}, ContestantsSettings)
    return ContestantsComparison(teacher(), ProjectionTransformer(8, 2, 1, 12), QUERIES, chosen, clock=clock)


def rows_of(result: ContestantsFinished | None) -> dict[str, ContestantRow]:
    assert result is not None
    return {row.name: row for row in result.rows}


@pytest.mark.usefixtures("planted")
def test_every_figure_is_the_planted_one(clock: PlantedClock) -> None:
    started, *rounds, finished = comparison(clock)
    assert isinstance(started, ContestantsStarted)
    assert isinstance(finished, ContestantsFinished)
    assert started.contestants == ("LDA", "small", "slow")
    assert rounds == [RoundTimed(done=done, total=8) for done in range(1, 9)]
    rows = rows_of(finished)
    assert list(rows) == ["LDA", "small", "slow", "missing"]
    for name, single, per_second in (
        ("LDA", 100.0, 32e6 / 162),
        ("small", 200.0, 32e6 / 200),
        ("slow", 400.0, 32e6 / 12_800),
    ):
        row = rows[name]
        assert row.single_us is not None
        assert (row.single_us.p50, row.single_us.p90) == pytest.approx((single, single))
        assert row.offline_per_second == pytest.approx(per_second)
        assert row.single_over_lda is not None
        assert row.single_over_lda.value == pytest.approx(single / 100)
        assert row.single_over_lda.low <= single / 100 <= row.single_over_lda.high
    assert [rows[name].cosine for name in ("LDA", "small", "slow")] == pytest.approx([1, 0, 1], abs=1e-6)
    assert [rows[name].pareto_best for name in rows] == [True, True, False, False]
    assert rows["missing"] == ContestantRow(name="missing", note="needs something")
    assert (finished.ended, finished.steady) == ("complete", True)


def in_rounds(clock: PlantedClock, block_us: list[float], calls_per_block: int) -> Callable[[int], float]:
    """Return times that change from block to block, after the warm-up of 1 + 3 blocks of single queries.

    Batches take what the last block took.
    """
    warm = [block_us[0]] * (1 + 3 * calls_per_block)
    left = [*warm, *(us for us in block_us for _ in range(calls_per_block))]
    cosines = 2  # calls for the cosines of 40 queries, 32 at a time

    def us(count: int) -> float:
        nonlocal cosines
        if cosines:
            cosines -= 1
            return 1.0
        return left.pop(0) if left else block_us[-1]

    return us


def test_figures_have_intervals_and_blocks_that_disagree_are_told(
    clock: PlantedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lda = teacher()
    drifting = in_rounds(clock, [1_000.0, 2_000.0, 3_000.0, 4_000.0, 5_000.0], 8)
    one = planted_contestant(clock, "LDA", lambda n: 1_000.0, lda.project, 400)
    other = planted_contestant(clock, "drifting", drifting, lda.project, 400)
    monkeypatch.setattr(module, "contestants", lambda *of, **options: iter([one, other]))
    result = next(event for event in comparison(clock, blocks=5) if isinstance(event, ContestantsFinished))
    rows = rows_of(result)
    assert rows["LDA"].single_p90_interval == pytest.approx((1_000.0, 1_000.0))
    assert rows["LDA"].offline_interval == pytest.approx((32e3, 32e3))
    # of five drawn blocks the slowest, which p90 is, is one of the three slowest in 99 % of the draws
    assert rows["drifting"].single_p90_interval == pytest.approx((3_000.0, 5_000.0))
    assert rows["LDA"].outliers == 0
    assert not result.steady


def test_offline_counts_slow_blocks_and_every_call_is_kept(
    clock: PlantedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches take 10 ms, and 30 ms once in eight blocks of one call: 256 queries in 7 x 10 + 30 ms."""
    calls = itertools.count()

    def us(count: int) -> float:
        return 30_000.0 if count == 32 and next(calls) == 2 + 4 + 3 else 10_000.0

    lda = planted_contestant(clock, "LDA", us, teacher().project, 400)
    monkeypatch.setattr(module, "contestants", lambda *of, **options: iter([lda]))
    measured = comparison(clock, blocks=8)
    list(measured)
    row = rows_of(measured.result())["LDA"]
    assert row.offline_per_second == pytest.approx(8 * 32 / 0.1)
    assert row.outliers == 1
    samples = measured.samples()
    assert samples["LDA, batch 32"].tolist() == pytest.approx([10_000.0] * 3 + [30_000.0] + [10_000.0] * 4)
    assert samples["LDA, batch 1"].tolist() == pytest.approx([10_000.0] * 8)


def test_on_a_device_ratios_are_over_the_lda_there_and_single_queries_wait(
    clock: PlantedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pretended cuda, where a call takes 1 us and the wait for it 2 ms; NumPy's LDA takes 100 us."""

    def on_device(name: str, *, is_reference: bool = False) -> Contestant:
        def project(queries: object) -> object:
            clock.call_taking(1.0)()
            return queries

        return Contestant(name, project, "tensors", 100, 400, is_reference=is_reference)

    numpy = planted_contestant(clock, "LDA, NumPy", lambda n: 100.0, teacher().project, 400)
    there = [numpy, on_device("LDA, torch on cuda", is_reference=True), on_device("student")]
    monkeypatch.setattr(module, "contestants", lambda *of, **options: iter(there))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Fast GPU")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: clock.call_taking(2_000.0)())
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: self)
    monkeypatch.setattr(ProjectionTransformer, "to", lambda self, device: self)
    measured = comparison(clock, device="cuda")
    list(measured)
    result = measured.result()
    rows = rows_of(result)
    assert result is not None
    assert result.reference == "LDA, torch on cuda"
    for name in ("LDA, torch on cuda", "student"):
        single = rows[name].single_us
        assert single is not None
        assert single.p50 == pytest.approx(2_001.0)
        ratio, offline = rows[name].single_over_lda, rows[name].offline_over_lda
        assert ratio is not None
        assert offline is not None
        assert (ratio.value, offline.value) == pytest.approx((1.0, 1.0))
    (numpy_ratio,) = [rows["LDA, NumPy"].single_over_lda]
    assert numpy_ratio is not None
    assert numpy_ratio.value == pytest.approx(100 / 2_001)


@pytest.mark.usefixtures("planted")
def test_the_order_of_a_round_turns_around(clock: PlantedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[object] = []
    time_block = TimedCalls.time_block

    def noted(timed: TimedCalls) -> None:
        order.append(id(timed))
        time_block(timed)

    monkeypatch.setattr(TimedCalls, "time_block", noted)
    list(comparison(clock, blocks=2, batch_size=1))
    first, second = order[:3], order[3:]
    assert len(order) == 6
    assert second == first[::-1]


@pytest.mark.usefixtures("planted")
def test_what_was_measured_outlives_a_stop(clock: PlantedClock) -> None:
    search = comparison(clock)
    assert search.result() is None
    events = iter(search)
    list(itertools.islice(events, 3))
    rows = rows_of(search.result())
    assert rows["slow"].single_us is not None
    assert rows["slow"].offline_per_second is None
    result = search.result()
    assert result is not None
    assert result.ended == "interrupted"


def test_a_device_that_fails_is_one_sentence_and_keeps_the_rounds(
    clock: PlantedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lda = teacher()
    broken: list[bool] = []

    def project(queries: Floats) -> Floats:
        if broken:
            raise RuntimeError("CUDA error: device lost\nmore lines")
        return lda.project(queries)

    one = planted_contestant(clock, "LDA", lambda n: 100.0, project, 400)
    monkeypatch.setattr(module, "contestants", lambda *of, **options: iter([one]))
    search = comparison(clock)
    events = iter(search)
    list(itertools.islice(events, 3))
    broken.append(True)
    with pytest.raises(DeviceError, match=r"^The measurement failed: CUDA error: device lost"):
        list(events)
    assert rows_of(search.result())["LDA"].single_us is not None


def test_the_student_and_the_threads_are_left_as_they_were() -> None:
    student, threads = ProjectionTransformer(8, 2, 1, 12).train(), torch.get_num_threads()
    ticks = itertools.count(step=1_000_000)
    settings = ContestantsSettings(device="cpu", blocks=1, batch_size=2)
    *_, finished = ContestantsComparison(teacher(), student, QUERIES, settings, clock=lambda: next(ticks))
    assert isinstance(finished, ContestantsFinished)
    assert student.training
    assert torch.get_num_threads() == threads


def test_without_queries_there_is_nothing_to_time() -> None:
    with pytest.raises(DistillError, match="no queries"):
        ContestantsComparison(teacher(), ProjectionTransformer(8, 2, 1, 12), np.empty((0, 8)))


@pytest.mark.parametrize("name", ["blocks", "batch_size"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ContestantsSettings(blocks=int(name != "blocks"), batch_size=int(name != "batch_size"))
    assert caught.value.field == name


costs = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), min_size=1, max_size=12)


@given(costs)
def test_the_pareto_best_are_those_that_nobody_beats(values: list[tuple[float, ...]]) -> None:
    best = pareto_best(values)
    kept = {cost for cost, is_best in zip(values, best, strict=True) if is_best}
    assert kept
    for cost, is_best in zip(values, best, strict=True):
        beaten = any(other != cost and np.all(np.array(other) <= cost) for other in kept)
        assert is_best is not beaten


def test_the_pareto_best_of_three_by_hand() -> None:
    assert pareto_best([(1, 5), (2, 5), (5, 1), (1, 5)]) == [True, False, True, True]
