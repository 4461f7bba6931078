from __future__ import annotations

from operator import attrgetter

import numpy as np
import pytest

from distill_core.architecture import lda_cost
from distill_core.latency import Bracket
from distill_core.latency.crossover import (
    RatioAt,
    bracket_of,
    next_heads,
)
from distill_core.latency.measurement import TimeRatio, is_unsteady, ratio_interval
from distill_core.latency.timing.calls import BLOCK_NS, TimedCalls
from distill_core.latency.timing.crossover_contestants import (
    break_even_heads,
    covering_layers,
    growing_break_even_heads,
)
from distill_core.students.encoder import encoder_cost, folded_encoder_cost
from tests.core.latency.planted_times import PlantedClock

# Brackets


def curve(*points: tuple[int, float, float]) -> list[RatioAt]:
    return [RatioAt(n, TimeRatio((low + high) / 2, low, high)) for n, low, high in points]


@pytest.mark.parametrize(
    ("ratios", "low", "high", "reached"),
    [
        (curve(), None, None, False),
        (curve((16, 3, 4), (32, 2, 3)), 32, None, False),
        (curve((16, 3, 4), (32, 0.4, 0.5)), 16, 32, True),
        (curve((16, 3, 4), (32, 0.9, 1.1), (64, 0.4, 0.5)), 16, 64, True),
        (curve((16, 0.4, 0.5), (32, 0.2, 0.3)), None, 16, True),
        (curve((16, 3, 4), (32, 0.9, 1.1)), 16, None, False),
        # noise: a sure "LDA" above a sure "student" widens the bracket over both
        (curve((16, 3, 4), (32, 0.8, 0.9), (64, 1.1, 1.2), (128, 0.4, 0.5)), 16, 128, True),
        (curve((16, 3, 4), (32, 0.8, 0.9), (64, 1.1, 1.2)), 64, None, False),
    ],
)
def test_the_bracket_lies_between_sure_and_sure(
    ratios: list[RatioAt], low: int | None, high: int | None, reached: bool
) -> None:
    measured_to = ratios[-1].num_heads if ratios else 0
    assert bracket_of(ratios) == Bracket(low=low, high=high, reached=reached, measured_to=measured_to)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        (curve((1024, 3, 4), (4096, 0.4, 0.5)), 2048),
        (curve((1024, 3, 4), (2048, 0.9, 1.1), (8192, 0.4, 0.5)), 4096),
        (curve((1024, 3, 4), (1100, 0.4, 0.5)), None),
        (curve((1024, 3, 4), (1100, 0.9, 1.1), (1200, 0.9, 1.1), (1280, 0.4, 0.5)), None),
        (curve((1024, 3, 4)), None),
        (curve((16, 0.4, 0.5)), None),
        (curve((2, 3, 4), (3, 0.4, 0.5)), None),
    ],
)
def test_the_next_number_of_heads_halves_the_wider_gap(ratios: list[RatioAt], expected: int | None) -> None:
    assert next_heads(ratios) == expected


# Break-even


@pytest.mark.parametrize("of", [attrgetter("flops"), attrgetter("parameters")])
def test_break_even_is_the_smallest_teacher_that_costs_as_much(of: attrgetter[int]) -> None:
    student = encoder_cost(384, 2, 512)
    heads = break_even_heads(of, student, 384)
    assert of(lda_cost(heads, 384)) >= of(student) > of(lda_cost(heads - 1, 384))


def test_the_growing_break_even_is_the_first_of_all_heads() -> None:
    def costs_as_much(n: int) -> bool:
        student = folded_encoder_cost(8, covering_layers(n, 4), 16)
        return lda_cost(n, 8).flops >= student.flops

    first = next(n for n in range(1, 10_000) if costs_as_much(n))
    assert growing_break_even_heads(attrgetter("flops"), 4, 8, 16) == first


@pytest.mark.parametrize(("heads", "layers"), [(1, 1), (4, 1), (5, 2), (16, 2), (17, 3), (64, 3), (65, 4)])
def test_layers_cover_the_heads(heads: int, layers: int) -> None:
    assert covering_layers(heads, 4) == layers


# Intervals


def test_paired_blocks_cancel_what_slows_both() -> None:
    lda = np.array([1.0, 5.0, 1.0, 2.0, 1.0, 9.0])
    found = ratio_interval(3 * lda, lda)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3 / 1.01, 3 * 1.01))


def test_the_interval_is_that_of_the_sign_test() -> None:
    """Of 12 fair signs at most 2 are of a kind in 1.9 % of cases, at most 3 in 7.3 %: the third ones."""
    rng = np.random.default_rng(1)
    lda = rng.lognormal(0, 0.1, 12)
    student = 2 * rng.lognormal(0, 0.1, 12)
    ratios = np.sort(student / lda)
    found = ratio_interval(student, lda)
    wanted = (np.median(ratios), ratios[2] / 1.01, ratios[9] * 1.01)
    assert (found.value, found.low, found.high) == pytest.approx(wanted)
    low = ratio_interval(student[:5], lda[:5]).low
    assert low == pytest.approx((student[:5] / lda[:5]).min() / 1.01)


def test_models_that_lay_at_one_place_have_a_wider_interval() -> None:
    lda = np.array([1.0, 5.0, 1.0, 2.0, 1.0, 9.0])
    found = ratio_interval(3 * lda, lda, built_once=True)
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3 / 1.04, 3 * 1.04))


def test_the_interval_covers_a_known_ratio_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(100):
        noise = rng.lognormal(0, 0.2, (2, 12))
        found = ratio_interval(2 * noise[0], noise[1])
        hits += found.low <= 2 <= found.high
    assert hits >= 91


@pytest.mark.parametrize(("upper", "lower"), [([1.0], [1.0, 2.0]), ([], []), ([[1.0]], [[1.0]])])
def test_blocks_that_are_not_paired_are_refused(upper: list[float], lower: list[float]) -> None:
    with pytest.raises(ValueError, match="not paired"):
        ratio_interval(upper, lower)


@pytest.mark.parametrize(
    ("blocks", "unsteady"),
    [
        ([1.0] * 12, False),
        ([1.0] * 11 + [9.0], False),
        ([1.0] * 6 + [1.6] * 6, True),
        ([1.0, 1.4] * 6, False),
    ],
)
def test_a_machine_is_unsteady_when_the_blocks_disagree(blocks: list[float], unsteady: bool) -> None:
    assert is_unsteady(blocks) is unsteady


# Blocks


def test_a_block_takes_about_eight_milliseconds() -> None:
    clock = PlantedClock()
    timed = TimedCalls([clock.call_taking(100.0)], clock, lambda: None)
    timed.warm_up()
    before = clock()
    timed.time_block()
    assert clock() - before == BLOCK_NS
    assert timed.block_medians_us().tolist() == [100.0]


def test_warm_up_goes_on_until_the_times_are_steady() -> None:
    clock = PlantedClock()
    falling = iter([9_000.0, 7_000.0, 5_000.0, 3_000.0])

    def call() -> None:
        clock.call_taking(next(falling, 2_000.0))()

    timed = TimedCalls([call], clock, lambda: None)
    timed.warm_up()
    assert next(falling, None) is None
    timed.time_block()
    assert timed.block_medians_us().tolist() == [2_000.0]


def test_warm_up_has_a_cap() -> None:
    clock = PlantedClock()
    rising = iter(range(1, 1000))
    timed = TimedCalls([lambda: clock.call_taking(10_000.0 * next(rising))()], clock, lambda: None)
    timed.warm_up()
    assert clock() < 500_000_000


@pytest.mark.parametrize("in_order", [True, False])
def test_the_device_is_waited_for_around_a_block_only(in_order: bool) -> None:
    clock = PlantedClock()
    waits: list[int] = []

    def wait() -> None:
        waits.append(clock())
        clock.nanoseconds += 400_000

    timed = TimedCalls([clock.call_taking(100.0)], clock, wait, in_order=in_order, calls_per_block=4)
    timed.time_block()
    # out of order the queue is empty only after the wait, whose 400 us belong to the four calls
    assert timed.block_medians_us().tolist() == [100.0 if in_order else 200.0]
    assert len(waits) == (1 if in_order else 2)


def test_outliers_are_counted_and_kept() -> None:
    clock = PlantedClock()
    times = iter([100.0, 101.0, 102.0, 103.0, 104.0, 9_000.0])
    timed = TimedCalls([lambda: clock.call_taking(next(times))()], clock, lambda: None, calls_per_block=6)
    timed.time_block()
    assert timed.outliers() == 1
    assert timed.call_us[0].max() == 9_000.0
