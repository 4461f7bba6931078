"""What teacher, student and baselines cost to run, and which of two is cheaper."""

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
        measured_ratio: Student's time over the teacher's, with its interval, where it was measured.
        by_operations: Whether operations alone are compared: the student stores the teacher's heads, too.
    """

    student: Cost
    teacher: Cost
    measured_ratio: Estimate | None = None
    by_operations: bool = False

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
            if self.by_operations:
                return compare_size(Cost(0, self.student.flops), Cost(0, self.teacher.flops))
            return compare_size(self.student, self.teacher)
        low = ratio.value if ratio.low is None else ratio.low
        high = ratio.value if ratio.high is None else ratio.high
        return "cheaper" if high < 1 else "dearer" if low > 1 else "similar"


def compare_size(one: Cost, other: Cost) -> CostOrder:
    """Return whether one model is cheaper than another in both parameters and operations."""
    mine, theirs = (one.parameters, one.flops), (other.parameters, other.flops)
    if mine == theirs:
        return "similar"
    if all(a <= b for a, b in zip(mine, theirs, strict=True)):
        return "cheaper"
    return "dearer" if all(a >= b for a, b in zip(mine, theirs, strict=True)) else "similar"
