"""From how many heads on a student is faster: events of the search, brackets, and the next N. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from distill_core.latency.events import MachineRecord
from distill_core.latency.measurement import COMPLETE, TimeRatio

PUBLISHED_SINGLE_HEADS = 400
"""The published claim: faster above 400 heads, one query at a time; extrapolated from N = 18."""

PUBLISHED_BATCH_HEADS = 27
"""The published claim for batches of 32: faster from about 27 heads."""


Curve = Literal["fixed", "grown"]
CURVES: tuple[Curve, ...] = ("fixed", "grown")

NARROW = 2**0.25
"""A bracket whose ends differ by less is narrow enough; runs differ from each other by more than that."""

_UNSTEADY_SHARE = 0.1


class Bracket(msgspec.Struct, frozen=True, kw_only=True):
    """Between which N the student becomes the faster one.

    Attributes:
        low: The largest N at which the LDA is surely faster: the interval of the ratio student over LDA lies
            above 1. None where it is so at no measured N below `high`.
        high: The smallest N from which on the student is surely faster at every measured N. None if at none.
        reached: Whether there is such an N; else there is no crossover up to `measured_to`.
        measured_to: The largest N that was timed; 0 if none was.
        limited_by: "budget" or "interrupted" where that, and not the largest N, is why it was not reached, so
            that a larger N may still have a crossover; else empty.
    """

    low: int | None
    high: int | None
    reached: bool
    measured_to: int
    limited_by: str = ""


class StudentTime(msgspec.Struct, frozen=True, kw_only=True):
    """A student at one point.

    Attributes:
        layers: L; None where the student does not say.
        us: Median microseconds a query.
        over_lda: Its time over the LDA's; below 1 the student is faster.
    """

    layers: int | None
    us: float
    over_lda: TimeRatio


class BreakEven(msgspec.Struct, frozen=True, kw_only=True):
    """From which N on the LDA costs as much as the student, by arithmetic. None where it is not known.

    Attributes:
        fixed_flops, fixed_parameters: For the student of fixed size.
        grown_flops, grown_parameters: For the student that grows with N.
    """

    fixed_flops: int | None
    fixed_parameters: int | None
    grown_flops: int
    grown_parameters: int


class CrossoverEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    """Base of the events; as JSON each carries its name under `event`."""


class CrossoverStarted(CrossoverEvent, frozen=True, kw_only=True, tag="started"):
    """The teacher's memory is there, the first point is next.

    Attributes:
        real_heads: Heads of the projection; the others are drawn near them.
        max_heads: The largest N that may be timed.
        heads_that_fit: How many would fit in the free memory.
        folded: Whether the fixed student is timed in its folded form.
        grown_heads: H of the student that grows: a folded encoder, untrained, which is as fast.
        break_even: By arithmetic, of the students as they are timed: folded where they fold.
    """

    machine: MachineRecord
    dimension: int
    real_heads: int
    max_heads: int
    heads_that_fit: int
    batch_sizes: tuple[int, ...]
    budget_seconds: float
    device: str
    folded: bool
    grown_heads: int
    break_even: BreakEven
    published_single_heads: int = PUBLISHED_SINGLE_HEADS
    published_batch_heads: int = PUBLISHED_BATCH_HEADS


class CrossoverPoint(CrossoverEvent, frozen=True, kw_only=True, tag="point"):
    """One N at one batch size is timed.

    Attributes:
        num_heads: N.
        real_heads: How many of them are real.
        batch_size: Queries a call.
        lda_us: Median microseconds a query.
        fixed: The student of fixed size.
        grown: The smallest student with H^L >= N.
        blocks: Timed blocks of each.
        outliers: Calls beyond an outer quartile fence; counted, never dropped.
        unsteady: Whether the blocks of one of the three disagree.
        refining: Whether the point narrows a bracket, after the doubling.
        elapsed_seconds, budget_seconds: Progress.
    """

    num_heads: int
    real_heads: int
    batch_size: int
    lda_us: float
    fixed: StudentTime
    grown: StudentTime
    blocks: int
    outliers: int
    unsteady: bool
    refining: bool
    elapsed_seconds: float
    budget_seconds: float


class CrossoverFinished(CrossoverEvent, frozen=True, kw_only=True, tag="finished"):
    """The result.

    Attributes:
        fixed: Bracket of the student of fixed size by case: "single", "batch_8" and so on.
        grown: The same of the student that grows.
        curve: Every point, by batch size and N.
        ended: "complete", "budget" or "interrupted".
        elapsed_seconds: Of the clock of the search.
        unsteady: Whether more than a tenth of the points were.
        machine: Where it was measured; None in what an older version wrote.
    """

    fixed: dict[str, Bracket]
    grown: dict[str, Bracket]
    curve: tuple[CrossoverPoint, ...]
    ended: str
    elapsed_seconds: float
    unsteady: bool
    machine: MachineRecord | None = None


class RatioAt(NamedTuple):
    """The ratio student over LDA at one N."""

    num_heads: int
    interval: TimeRatio


def ratios_of(points: Sequence[CrossoverPoint], batch_size: int, curve: Curve) -> list[RatioAt]:
    """Return one curve at one batch size, by ascending N."""
    chosen = (point for point in points if point.batch_size == batch_size)
    return [
        RatioAt(point.num_heads, (point.fixed if curve == "fixed" else point.grown).over_lda)
        for point in sorted(chosen, key=lambda point: point.num_heads)
    ]


def bracket_of(ratios: Sequence[RatioAt]) -> Bracket:
    """Return the bracket of a curve.

    Noise may put a sure "LDA" above a sure "student"; the bracket then spans both, as neither can be trusted.
    """
    measured_to = max((ratio.num_heads for ratio in ratios), default=0)
    slower = [ratio.num_heads for ratio in ratios if ratio.interval.low > 1]
    faster = [ratio.num_heads for ratio in ratios if ratio.interval.high < 1]
    for_good = [n for n in faster if n > max(slower, default=0)]
    if not for_good:
        return Bracket(low=max(slower, default=None), high=None, reached=False, measured_to=measured_to)
    low = max((n for n in slower if n < min(faster)), default=None)
    return Bracket(low=low, high=min(for_good), reached=True, measured_to=measured_to)


def next_heads(ratios: Sequence[RatioAt]) -> int | None:
    """Return the N to time next for a narrower bracket: the middle, in log2 N, of where the sign changes.

    Between the ends of the bracket lie only points whose interval contains 1. The gap beside the one end that
    is wider is halved. None where the bracket is narrow, or cannot be narrowed.
    """
    bracket = bracket_of(ratios)
    if bracket.low is None or bracket.high is None or bracket.high <= bracket.low * NARROW:
        return None
    inside = [ratio.num_heads for ratio in ratios if bracket.low <= ratio.num_heads <= bracket.high]
    gaps = [(inside[0], inside[1]), (inside[-2], inside[-1])]
    below, above = max(gaps, key=lambda gap: gap[1] / gap[0])
    middle = round(math.sqrt(below * above))
    if not below < middle < above or above <= below * math.sqrt(NARROW):
        return None
    return middle


def far_past(interval: TimeRatio) -> bool:
    """Return whether the student is surely at least twice as fast."""
    return interval.high < 0.5


def summarised(
    points: Sequence[CrossoverPoint],
    *,
    ended: str,
    machine: MachineRecord | None = None,
    batch_sizes: Sequence[int] = (),
    max_heads: int | None = None,
) -> CrossoverFinished:
    """Return the result of the points that there are; a stopped search is summed up the same way.

    Args:
        points: In any order.
        ended: "complete", "budget" or "interrupted".
        machine: Where they were measured.
        batch_sizes: Those asked for: they have a bracket even without a point.
        max_heads: The largest N asked for: a size that got there was not limited by the end of the search.
    """
    sizes = sorted({*batch_sizes, *(point.batch_size for point in points)})
    fixed, grown = (
        {
            case_name(size): _limited(bracket_of(ratios_of(points, size, curve)), ended, max_heads)
            for size in sizes
        }
        for curve in CURVES
    )
    return CrossoverFinished(
        fixed=fixed,
        grown=grown,
        curve=tuple(sorted(points, key=lambda point: (point.batch_size, point.num_heads))),
        ended=ended,
        elapsed_seconds=max((point.elapsed_seconds for point in points), default=0.0),
        unsteady=sum(point.unsteady for point in points) > _UNSTEADY_SHARE * len(points),
        machine=machine,
    )


def _limited(bracket: Bracket, ended: str, max_heads: int | None) -> Bracket:
    """Say what kept the crossover from being reached, if not the largest N."""
    went_all_the_way = ended == COMPLETE or (max_heads is not None and bracket.measured_to >= max_heads)
    if bracket.reached or went_all_the_way:
        return bracket
    return msgspec.structs.replace(bracket, limited_by=ended)


def case_name(batch_size: int) -> str:
    """Return "single" or "batch_32"."""
    return "single" if batch_size == 1 else f"batch_{batch_size}"


def finished_object(event: CrossoverFinished) -> dict[str, object]:
    """Return the result as the JSON object of the command line, the fixed student's brackets on top."""
    plain: dict[str, object] = msgspec.to_builtins(event)
    brackets = plain.pop("fixed")
    assert isinstance(brackets, dict)
    return {"event": plain.pop("event"), **brackets, **plain}
