from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_core.errors import DeviceError
from distill_core.latency import Bracket, CrossoverFinished, CrossoverPoint
from distill_core.latency.crossover import NARROW, summarised
from distill_core.latency.timing.calls import Call
from distill_core.latency.timing.crossover_contestants import CallsAtN
from distill_core.latency.timing.crossover_search import CrossoverSearch, doublings
from tests.core.latency.planted_times import PlantedClock, PlantedContestants, Times

LDA_FIXED_US, LDA_HEAD_US, STUDENT_US = 300.0, 0.5, 4_300.0
CROSSES_AT = 8_000
"""(4300 - 300) / 0.5."""


def lda(num_heads: int, batch_size: int) -> float:
    return LDA_FIXED_US + LDA_HEAD_US * num_heads


def student(num_heads: int, batch_size: int) -> float:
    return STUDENT_US


def never(num_heads: int, batch_size: int) -> float:
    return 10 * lda(num_heads, batch_size)


def planted(
    teacher: Times = lda,
    fixed: Times = student,
    grown: Times = student,
    *,
    max_heads: int = 1 << 20,
    budget: float = 600.0,
    sizes: tuple[int, ...] = (1,),
) -> tuple[CrossoverSearch, PlantedContestants]:
    clock = PlantedClock()
    contestants = PlantedContestants(clock, teacher, fixed, grown)
    search = CrossoverSearch(
        contestants,
        max_heads=max_heads,
        batch_sizes=sizes,
        budget_seconds=budget,
        seed=0,
        clock=clock,
    )
    return search, contestants


def result_of(search: CrossoverSearch) -> CrossoverFinished:
    return summarised(list(search), ended=search.ended)


def holds(bracket: Bracket, crossing: float) -> bool:
    assert bracket.low is not None
    assert bracket.high is not None
    return bracket.reached and bracket.low <= crossing <= bracket.high


def width(bracket: Bracket) -> float:
    assert bracket.low is not None
    assert bracket.high is not None
    return bracket.high / bracket.low


def test_the_bracket_holds_the_crossing_of_arithmetic() -> None:
    search, _ = planted()
    result = result_of(search)
    assert holds(result.fixed["single"], CROSSES_AT)
    assert width(result.fixed["single"]) <= NARROW
    assert result.ended == "complete"


@settings(max_examples=15, deadline=None)
@given(
    base=st.floats(50, 500), per_head=st.floats(0.1, 5), crossing=st.integers(40, 200_000), size=st.just(32)
)
def test_the_bracket_holds_any_planted_crossing(
    base: float, per_head: float, crossing: int, size: int
) -> None:
    search, _ = planted(
        lambda n, _: base + per_head * n, lambda n, _: base + per_head * crossing, never, sizes=(size,)
    )
    assert holds(result_of(search).fixed["batch_32"], crossing)


@pytest.mark.parametrize("delay_us", [1_000.0, 2_000.0, 3_500.0])
def test_a_delay_of_the_teacher_moves_the_crossing_as_arithmetic_says(delay_us: float) -> None:
    search, _ = planted(lambda n, size: lda(n, size) + delay_us)
    bracket = result_of(search).fixed["single"]
    assert holds(bracket, CROSSES_AT - delay_us / LDA_HEAD_US)
    assert not holds(bracket, CROSSES_AT)


def test_each_batch_size_and_curve_has_a_crossing_of_its_own() -> None:
    search, _ = planted(
        fixed=lambda n, size: 4_300.0 if size == 1 else 1_300.0,
        grown=lambda n, size: 8_300.0 if size == 1 else 2_300.0,
        sizes=(1, 32),
    )
    result = result_of(search)
    assert holds(result.fixed["single"], 8_000)
    assert holds(result.fixed["batch_32"], 2_000)
    assert holds(result.grown["single"], 16_000)
    assert holds(result.grown["batch_32"], 4_000)


def test_without_a_crossing_there_is_none_up_to_the_largest_teacher() -> None:
    search, _ = planted(fixed=never, grown=never, max_heads=5_000)
    result = result_of(search)
    assert result.fixed["single"] == Bracket(low=5_000, high=None, reached=False, measured_to=5_000)
    assert result.ended == "complete"


def test_a_student_that_is_faster_from_the_start_has_no_lower_end() -> None:
    search, contestants = planted(fixed=lambda n, size: 100.0, grown=lambda n, size: 100.0)
    result = result_of(search)
    assert result.fixed["single"] == Bracket(low=None, high=16, reached=True, measured_to=16)
    assert contestants.asked == [(16, 1)]


def test_the_search_stops_growing_once_every_size_is_far_past() -> None:
    search, contestants = planted()
    list(search)
    # 2 x 4300 us is 16,600 heads; the next doubling is the first with the student twice as fast
    assert max(heads for heads, _ in contestants.asked) == 32_768


def test_only_the_sizes_that_are_undecided_grow() -> None:
    search, contestants = planted(
        fixed=lambda n, size: 4_300.0 if size == 1 else 500.0,
        grown=lambda n, size: 4_300.0 if size == 1 else 500.0,
        sizes=(1, 32),
    )
    list(search)
    assert max(heads for heads, size in contestants.asked if size == 32) == 2_048
    assert max(heads for heads, size in contestants.asked if size == 1) == 32_768


@pytest.mark.parametrize("budget", [0.5, 2.0, 5.0])
def test_the_budget_is_kept_up_to_one_round(budget: float) -> None:
    search, _ = planted(fixed=never, grown=never, budget=budget, sizes=(1, 8, 32, 256))
    points = list(search)
    slowest = points[-1]
    a_round = 1e-6 * slowest.batch_size * (slowest.lda_us + slowest.fixed.us + slowest.grown.us)
    assert search.ended == "budget"
    assert points[-1].elapsed_seconds <= budget + max(a_round, 0.03)
    assert points[-1].num_heads < 1 << 20


def test_a_point_that_time_cuts_short_is_not_kept() -> None:
    search, contestants = planted(lambda n, _: 50_000.0, student, student, budget=0.1)
    assert list(search) == []
    assert contestants.asked == [(16, 1)]
    assert search.ended == "budget"
    assert summarised([], ended="budget").fixed == {}


def test_what_a_stopped_search_gave_is_summed_up() -> None:
    search, _ = planted()
    points = list(itertools.islice(search, 10))
    result = summarised(points, ended="interrupted")
    assert result.ended == "interrupted"
    assert [point.num_heads for point in result.curve] == [16 << power for power in range(10)]
    # at 8,192 heads the LDA takes 4,396 us, more than the student's 4,300
    assert result.fixed["single"] == Bracket(low=4_096, high=8_192, reached=True, measured_to=8_192)


def test_a_bracket_that_the_growth_could_not_reach_is_sought_with_the_rest_of_the_budget() -> None:
    """16 heads take 7 x 1.4 s, and as long is expected of 32: 19.6 s are above 60 % of 30."""
    search, contestants = planted(
        lambda n, _: 25_000.0 * n, lambda n, _: 500_000.0, lambda n, _: 500_000.0, budget=30.0
    )
    points = list(search)
    assert [point.refining for point in points] == [False, True]
    assert contestants.asked[:2] == [(16, 1), (32, 1)]
    assert holds(summarised(points, ended=search.ended).fixed["single"], 20)


@pytest.mark.parametrize("budget", [3.0, 8.0, 20.0])
def test_a_small_budget_takes_all_batch_sizes_as_far(budget: float) -> None:
    sizes = (1, 8, 32, 256)
    search, contestants = planted(fixed=never, grown=never, budget=budget, sizes=sizes)
    *_, last = search
    assert search.ended == "budget"
    reached = [max(heads for heads, of in contestants.asked if of == size) for size in sizes]
    assert max(reached) <= 2 * min(reached), "nobody is a doubling ahead"
    assert last.elapsed_seconds >= 0.8 * budget, "and the time is used"


def test_a_size_that_was_too_dear_does_not_stop_the_others_and_is_asked_again() -> None:
    """Size 32 takes 1.2 s a call from 16 heads on: too much for 60 % of the budget, not for all of it."""

    def dear(num_heads: int, size: int) -> float:
        return 1_200_000.0 if size == 32 else 2_000.0

    search, contestants = planted(dear, dear, dear, budget=60.0, sizes=(32, 1), max_heads=64)
    points = list(search)
    assert [heads for heads, size in contestants.asked if size == 1] == [16, 32, 64]
    assert [(point.num_heads, point.refining) for point in points if point.batch_size == 32] == [
        (16, False),
        (32, True),
    ]
    result = summarised(points, ended=search.ended, batch_sizes=(32, 1), max_heads=64)
    assert (result.ended, result.fixed["batch_32"].limited_by) == ("budget", "budget")
    assert result.fixed["single"].limited_by == "", "it went all the way"


def test_sizes_without_a_point_are_told_as_such() -> None:
    result = summarised([], ended="interrupted", batch_sizes=(1, 32), max_heads=64)
    nothing = Bracket(low=None, high=None, reached=False, measured_to=0, limited_by="interrupted")
    assert result.fixed == result.grown == {"single": nothing, "batch_32": nothing}


def test_outliers_are_counted_and_every_call_is_kept() -> None:
    """One call of the LDA's takes ten times as long, after the warm-up."""
    search, contestants = planted(lambda n, size: 1_000.0, lambda n, size: 1_000.0, lambda n, size: 1_000.0)
    at_n, numbers = contestants.calls, itertools.count()

    def recorded(num_heads: int, batch_size: int) -> CallsAtN:
        found = at_n(num_heads, batch_size)

        def call() -> None:
            for _ in range(10 if next(numbers) == 30 else 1):
                found.lda[0]()

        return found._replace(lda=[call])

    contestants.calls = recorded  # type: ignore[method-assign]
    point = next(iter(search))
    assert point.outliers == 1
    lda = search.samples["lda, N 16, batch 1"]
    assert sorted(lda)[-2:] == pytest.approx([1_000.0, 10_000.0])
    assert len(lda) == 12 * 8
    assert set(search.samples) == {f"{name}, N 16, batch 1" for name in ("lda", "fixed", "grown")}


def test_a_point_says_what_was_timed() -> None:
    search, _ = planted(sizes=(8,))
    point = next(iter(search))
    assert isinstance(point, CrossoverPoint)
    assert (point.num_heads, point.real_heads, point.batch_size) == (16, 16, 8)
    assert point.lda_us == pytest.approx((300 + 0.5 * 16) / 8)
    assert point.fixed.us == pytest.approx(4_300 / 8)
    assert point.fixed.over_lda.value == pytest.approx(4_300 / 308)
    assert point.grown.layers == 2
    assert (point.outliers, point.unsteady, point.refining) == (0, False, False)


def test_blocks_run_in_the_order_abc_cba() -> None:
    order: list[str] = []
    search, contestants = planted()
    at_n = contestants.calls

    def noting(name: str, calls: Sequence[Call]) -> list[Call]:
        def call() -> None:
            order.append(name)
            calls[0]()

        return [call]

    def recorded(num_heads: int, batch_size: int) -> CallsAtN:
        found = at_n(num_heads, batch_size)
        return found._replace(
            lda=noting("a", found.lda), fixed=noting("b", found.fixed), grown=noting("c", found.grown)
        )

    contestants.calls = recorded  # type: ignore[method-assign]
    next(iter(search))
    runs = "".join(name for name, _ in itertools.groupby(order))
    # warm-up abc, then abc cba abc cba ...; equal neighbours are one run
    assert runs.startswith("abc" + "abcba" + "bcba")


def test_a_device_that_fails_is_told_with_the_number_of_heads() -> None:
    def broken(num_heads: int, batch_size: int) -> float:
        if num_heads > 64:
            raise RuntimeError("CUDA error: device lost\nmore")
        return 300.0

    search, _ = planted(broken)
    points = iter(search)
    assert [point.num_heads for point in itertools.islice(points, 3)] == [16, 32, 64]
    with pytest.raises(DeviceError, match=r"128 heads failed: CUDA error: device lost$"):
        next(points)


@pytest.mark.parametrize(
    ("max_heads", "expected"),
    [(1, [1]), (16, [16]), (17, [16, 17]), (100, [16, 32, 64, 100]), (128, [16, 32, 64, 128])],
)
def test_heads_double_up_to_the_largest(max_heads: int, expected: list[int]) -> None:
    assert doublings(max_heads) == expected
