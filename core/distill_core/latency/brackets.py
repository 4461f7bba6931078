"""Where a curve of ratios passes 1: brackets, the next N to time, and the break-even by arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import msgspec

from distill_core.architecture import Cost, lda_cost
from distill_core.latency.crossover import Bracket, CrossoverFinished, CrossoverPoint, case_name
from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.statistics import RatioInterval
from distill_core.students.encoder import folded_encoder_cost

Curve = Literal["fixed", "grown"]
CURVES: tuple[Curve, ...] = ("fixed", "grown")

NARROW = 2**0.25
"""A bracket whose ends differ by less is narrow enough; runs differ from each other by more than that."""

_UNSTEADY_SHARE = 0.1


class Ratio(NamedTuple):
    """The ratio student over LDA at one N."""

    num_heads: int
    interval: RatioInterval


def ratios_of(points: Sequence[CrossoverPoint], batch_size: int, curve: Curve) -> list[Ratio]:
    """Return one curve at one batch size, by ascending N."""
    chosen = (point for point in points if point.batch_size == batch_size)
    return [
        Ratio(point.num_heads, (point.fixed if curve == "fixed" else point.grown).over_lda)
        for point in sorted(chosen, key=lambda point: point.num_heads)
    ]


def bracket_of(ratios: Sequence[Ratio]) -> Bracket:
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


def next_heads(ratios: Sequence[Ratio]) -> int | None:
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


def far_past(interval: RatioInterval) -> bool:
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
    went_all_the_way = ended == "complete" or (max_heads is not None and bracket.measured_to >= max_heads)
    if bracket.reached or went_all_the_way:
        return bracket
    return msgspec.structs.replace(bracket, limited_by=ended)


def covering_layers(num_heads: int, heads: int) -> int:
    """Return the smallest L >= 1 with H^L >= N, for H >= 2."""
    layers = 1
    while heads**layers < num_heads:
        layers += 1
    return layers


def break_even_heads(cost_of: Callable[[Cost], int], student: Cost, dimension: int) -> int:
    """Return the smallest N at which the LDA costs at least as much as a student of fixed size."""
    return math.ceil((cost_of(student) - cost_of(lda_cost(0, dimension))) / _per_head(cost_of, dimension))


def growing_break_even_heads(cost_of: Callable[[Cost], int], heads: int, dimension: int, ff_dim: int) -> int:
    """Return the smallest N at which the LDA costs at least as much as the folded encoder with H^L >= N."""
    layers = 1
    while True:
        student = folded_encoder_cost(dimension, layers, ff_dim)
        smallest = heads ** (layers - 1) + 1 if layers > 1 else 1
        found = max(break_even_heads(cost_of, student, dimension), smallest)
        if found <= heads**layers:
            return found
        layers += 1


def _per_head(cost_of: Callable[[Cost], int], dimension: int) -> int:
    return cost_of(lda_cost(1, dimension)) - cost_of(lda_cost(0, dimension))
