from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_core.latency.measurement import count_outliers
from distill_core.latency.timing.calls import TimedCalls, query_batches, single_stream
from tests.core.latency.planted_times import PlantedClock

Call = Callable[[], object]


@pytest.fixture
def clock() -> PlantedClock:
    return PlantedClock()


def nothing() -> None:
    pass


def timed(
    clock: PlantedClock, *calls: Call, in_order: bool = True, calls_per_block: int = 5, wait: Call = nothing
) -> TimedCalls:
    return TimedCalls(calls, clock, wait, in_order=in_order, calls_per_block=calls_per_block)


def in_turn(clock: PlantedClock, *microseconds: float) -> Call:
    """A call that takes these times in turn, the last of them for good."""
    left = [clock.call_taking(time) for time in microseconds]
    return lambda: (left.pop(0) if len(left) > 1 else left[0])()


def test_every_raw_time_is_kept(clock: PlantedClock) -> None:
    model = timed(clock, *map(clock.call_taking, (8.0, 16.0, 80.0)), calls_per_block=3)
    model.time_block()
    model.time_block()
    assert model.all_us().tolist() == pytest.approx([8.0, 16.0, 80.0] * 2)
    assert model.block_medians_us().tolist() == pytest.approx([16.0, 16.0])


def test_out_of_order_a_block_is_its_mean_with_one_wait(clock: PlantedClock) -> None:
    model = timed(clock, clock.call_taking(3.0), in_order=False, wait=clock.call_taking(10.0))
    model.time_block()
    assert model.all_us().tolist() == pytest.approx([(5 * 3.0 + 10.0) / 5])


def test_out_of_order_every_single_query_waits(clock: PlantedClock) -> None:
    calls, wait = [clock.call_taking(3.0)], clock.call_taking(4.0)
    for in_order, expected in ((False, 7.0), (True, 3.0)):
        model = single_stream(calls, clock, wait, in_order=in_order)
        model.time_block()
        assert model.all_us().tolist() == pytest.approx([expected])


def test_the_inputs_are_taken_in_turn(clock: PlantedClock) -> None:
    taken: list[int] = []
    calls = [lambda number=number: taken.append(number) for number in range(3)]
    model = timed(clock, *calls, calls_per_block=4)
    model.time_block()
    model.time_block()
    assert taken == [0, 1, 2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(("microseconds", "calls"), [(100, 80), (300, 26), (4_000, 2), (9_000, 1), (1, 4096)])
def test_warming_up_finds_how_many_calls_fill_a_block(
    clock: PlantedClock, microseconds: float, calls: int
) -> None:
    model = timed(clock, clock.call_taking(microseconds), calls_per_block=1)
    model.warm_up()
    assert model.calls_per_block == calls
    assert model.call_us == []


def test_a_busy_moment_does_not_leave_a_handful_of_calls(clock: PlantedClock) -> None:
    model = timed(clock, in_turn(clock, 1_000.0, 9_000.0), calls_per_block=1)
    model.warm_up()
    assert model.calls_per_block == 8


def test_warming_up_goes_on_until_the_times_agree_three_times_in_a_row(clock: PlantedClock) -> None:
    """Blocks of one call: two agree, one does not, then three do; the next is for the measurement."""
    times = [9_000.0, 9_000.0, 9_100.0, 12_000.0, 12_100.0, 12_000.0, 12_200.0]
    model = timed(clock, in_turn(clock, *times, 50_000.0), calls_per_block=1)
    model.warm_up()
    assert clock() == pytest.approx(1e3 * sum(times))


def test_warming_up_what_never_agrees_ends_after_a_while(clock: PlantedClock) -> None:
    times = [9_000.0 * 1.1**power for power in range(40)]
    timed(clock, in_turn(clock, *times), calls_per_block=1).warm_up()
    # over 0.3 s after 16 of them, and no later
    assert clock() == pytest.approx(1e3 * sum(times[:16]))


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_no_garbage_is_collected_in_a_block_and_then_as_before(
    clock: PlantedClock, enabled: bool, fails: bool
) -> None:
    seen: list[bool] = []

    def call() -> None:
        seen.append(gc.isenabled())
        if fails:
            raise KeyError

    (gc.enable if enabled else gc.disable)()
    try:
        model = timed(clock, call, calls_per_block=2)
        if fails:
            with pytest.raises(KeyError):
                model.time_block()
        else:
            model.time_block()
        assert gc.isenabled() is enabled
    finally:
        gc.enable()
    assert seen == [False] if fails else [False, False]


def test_outliers_lie_beyond_the_outer_fences() -> None:
    # quartiles of 1 to 5 are 2 and 4, the upper fence is 4 + 3 * 2 = 10; of the seven 2.5 and 8
    assert count_outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 0
    assert count_outliers(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 11.0, 100.0])) == 1
    assert count_outliers(np.array([1.0] * 98 + [1.5, 0.2])) == 2, "too fast is as suspect as too slow"


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=60))
def test_outliers_by_sorting(times: list[int]) -> None:
    ordered = sorted(times)

    def quantile(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    reach = 3 * (quantile(0.75) - quantile(0.25))
    low, high = quantile(0.25) - reach - 1e-6, quantile(0.75) + reach + 1e-6
    assert count_outliers(np.array(times, dtype=np.float64)) == sum(not low <= time <= high for time in times)


@pytest.mark.parametrize(("queries", "size"), [(20, 1), (20, 32), (3_000, 1), (3_000, 256)])
def test_a_thousand_different_queries_are_taken_in_turn(queries: int, size: int) -> None:
    rows = np.random.default_rng(0).standard_normal((queries, 8)).astype(np.float32)
    batches = query_batches(rows, size)
    taken = np.concatenate(batches)
    assert {len(batch) for batch in batches} == {size}
    assert len(np.unique(taken, axis=0)) >= 1_000
    np.testing.assert_array_equal(taken[:20], rows[:20])
