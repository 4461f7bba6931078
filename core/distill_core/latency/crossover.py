"""What a search for the crossover tells: frozen events of plain numbers and strings."""

from __future__ import annotations

import msgspec

from distill_core.latency.machine_record import MachineRecord
from distill_core.latency.statistics import RatioInterval

PUBLISHED_SINGLE_HEADS = 400
"""The published claim: faster above 400 heads, one query at a time; extrapolated from N = 18."""

PUBLISHED_BATCH_HEADS = 27
"""The published claim for batches of 32: faster from about 27 heads."""

BATCH_SIZES = (1, 8, 32, 256)
"""Queries a call, unless others are asked for."""


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
    over_lda: RatioInterval


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
        real_heads: Heads of the projection; the others are drawn from their distribution.
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


def case_name(batch_size: int) -> str:
    """Return "single" or "batch_32"."""
    return "single" if batch_size == 1 else f"batch_{batch_size}"


def finished_object(event: CrossoverFinished) -> dict[str, object]:
    """Return the result as the JSON object of the command line, the fixed student's brackets on top."""
    plain: dict[str, object] = msgspec.to_builtins(event)
    brackets = plain.pop("fixed")
    assert isinstance(brackets, dict)
    return {"event": plain.pop("event"), **brackets, **plain}
