"""What a student costs beside its teacher, counted and measured, with the words that tell it."""

from __future__ import annotations

from typing import Literal

import msgspec

from distill_core.architecture import Cost
from distill_core.evaluation.intervals import Estimate

CostOrder = Literal["cheaper", "dearer", "similar"]


class CostComparison(msgspec.Struct, frozen=True, kw_only=True):
    """A student's cost beside its teacher's.

    Attributes:
        student: Of the student.
        teacher: Of the multi-head LDA.
        measured_ratio: Student's time over the teacher's, one query at a time, where it was measured.
        batch_ratio: The same in batches.
        batch_size: Queries in one of these.
        by_operations: Whether operations alone are compared: the student stores the teacher's heads, too.
        unused: Why a measurement that there is does not count; empty if it counts, or if there is none.
        in_doubt: Whether that one is of this student, but too weak to count, so that the cost is open.
    """

    student: Cost
    teacher: Cost
    measured_ratio: Estimate | None = None
    batch_ratio: Estimate | None = None
    batch_size: int = 32
    by_operations: bool = False
    unused: tuple[str, ...] = ()
    in_doubt: bool = False

    @property
    def latency_ratio(self) -> Estimate | None:
        """Student's time over the teacher's, from the interval or from the two latencies; None if unknown."""
        if self.measured_ratio is not None and self.measured_ratio.value is not None:
            return self.measured_ratio
        student, teacher = self.student.latency_us, self.teacher.latency_us
        return Estimate(student / teacher) if student is not None and teacher else None

    @property
    def order(self) -> CostOrder:
        """The student against the teacher: by time if measured, else by parameters and operations.

        A measured interval that holds 1 is "similar". So is a student that has fewer parameters and more
        operations, or the other way round.
        """
        ratio = self.latency_ratio
        if ratio is None or ratio.value is None:
            return self._size_order(self.student)
        return _order_of(ratio.value, ratio)

    def saves_size(self, other: Cost) -> bool:
        """Whether another model is cheaper than the teacher by what counts of a student that is not timed."""
        return self._size_order(other) == "cheaper"

    def _size_order(self, model: Cost) -> CostOrder:
        if self.by_operations:
            return compare_size(Cost(0, model.flops), Cost(0, self.teacher.flops))
        return compare_size(model, self.teacher)

    @property
    def batch_order(self) -> CostOrder | None:
        """The same of queries in batches; None where these were not measured."""
        ratio = self.batch_ratio
        return None if ratio is None or ratio.value is None else _order_of(ratio.value, ratio)


def _order_of(value: float, ratio: Estimate) -> CostOrder:
    low = value if ratio.low is None else ratio.low
    high = value if ratio.high is None else ratio.high
    return "cheaper" if high < 1 else "dearer" if low > 1 else "similar"


def compare_size(one: Cost, other: Cost) -> CostOrder:
    """Return whether one model is cheaper than another in both parameters and operations."""
    mine, theirs = (one.parameters, one.flops), (other.parameters, other.flops)
    if mine == theirs:
        return "similar"
    if all(a <= b for a, b in zip(mine, theirs, strict=True)):
        return "cheaper"
    return "dearer" if all(a >= b for a, b in zip(mine, theirs, strict=True)) else "similar"


def affordable(costs: CostComparison) -> str:
    """Return what a student must stay below to cost less than the teacher."""
    teacher = costs.teacher
    if costs.latency_ratio is not None and teacher.latency_us is not None:
        return f"under {number(teacher.latency_us)} µs a query; or many more heads"
    if costs.by_operations:
        return f"under {teacher.flops:,} operations; or many more heads"
    return f"under {teacher.parameters:,} parameters and {teacher.flops:,} operations; or many more heads"


def extra_cost(costs: CostComparison) -> str:
    """Return how a student that is not cheaper compares, "takes 121 times the time"."""
    if costs.order == "similar":
        return "does not cost less"
    ratio = costs.latency_ratio
    if ratio is not None and ratio.value is not None:
        return f"takes {_multiple(ratio.value)} the time"
    return f"needs {_multiple(costs.student.flops / max(costs.teacher.flops, 1))} the operations"


def saving(costs: CostComparison) -> str:
    """Return in what a student that is cheaper costs less."""
    if costs.latency_ratio is not None:
        return "takes less time"
    return "needs fewer operations" if costs.by_operations else "is smaller"


def batch_words(costs: CostComparison) -> str:
    """Return what holds in batches where that is not what holds for single queries; else nothing."""
    ratio, order = costs.batch_ratio, costs.batch_order
    if ratio is None or ratio.value is None or order == costs.order:
        return ""
    batches = f"In batches of {costs.batch_size}"
    if order == "cheaper":
        return f" {batches} it takes {number(ratio.value)} times the LDA's time."
    takes = f"takes {_multiple(ratio.value)} the time" if order == "dearer" else "is not faster"
    return f" {batches} keep the LDA: there the student {takes}."


def cost_line(costs: CostComparison) -> str:
    """Return times, sizes and what of them does not count, in a sentence or two."""
    student, teacher = costs.student, costs.teacher
    ratio = costs.latency_ratio
    size = f"{student.parameters:,} parameters against the LDA's {teacher.parameters:,}"
    if ratio is None:
        counted = f"{size}, {student.flops:,} operations a query against {teacher.flops:,}"
        if not costs.unused:
            return f"{counted}; time not measured."
        return f"{counted}. There is a measurement of time, which does not count: {', '.join(costs.unused)}."
    times = f"A single query takes {factor(ratio)} the LDA's time{_times(student, teacher)}"
    if costs.batch_ratio is not None:
        times += f"; in batches of {costs.batch_size} {factor(costs.batch_ratio)} its time"
    return f"{times}; {size}."


def factor(ratio: Estimate) -> str:
    """Return "0.2 (0.1 to 0.3) times"."""
    if ratio.value is None:
        return "an unknown multiple of"
    if ratio.low is None or ratio.high is None:
        return f"{number(ratio.value)} times"
    return f"{number(ratio.value)} ({number(ratio.low)} to {number(ratio.high)}) times"


def _multiple(ratio: float) -> str:
    """Return "121 times"; with as many digits as tell it from once."""
    text = number(ratio)
    return f"{ratio:.4f} times" if text == "1" and ratio != 1 else f"{text} times"


def _times(student: Cost, teacher: Cost) -> str:
    if student.latency_us is None or teacher.latency_us is None:
        return ""
    return f", {number(student.latency_us)} µs against {number(teacher.latency_us)} µs"


def number(value: float) -> str:
    """Return a figure to three digits, as a whole number from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
