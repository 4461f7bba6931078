"""The numbers that a verdict is made of, apart from how they were computed."""

from __future__ import annotations

import msgspec

from distill_core.architecture import Cost
from distill_core.evaluation.cost import CostComparison, compare_size
from distill_core.evaluation.intervals import Estimate


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline beside the student.

    Attributes:
        name: Of the baseline; "constant" is the mean output.
        label: In words.
        skill: Of the baseline.
        difference: The student's skill minus the baseline's, paired.
        agreement: Of the baseline with the teacher in retrieval; None if not measured.
        cost: To run it.
    """

    name: str
    label: str
    skill: Estimate
    difference: Estimate
    agreement: Estimate | None
    cost: Cost

    @property
    def beaten(self) -> bool:
        """Whether the whole interval of the difference is above 0."""
        return self.difference.low is not None and self.difference.low > 0


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a student on the test queries.

    Attributes:
        num_queries: n.
        num_clusters: G, the independent units among them.
        broken: Queries whose projection by the student is not a number.
        cosine: The student's mean cosine; None if broken.
        constant_cosine: That of a constant.
        skill: Of the student; its value is None if the constant is perfect, or the student broken.
        agreement_at: The k of every agreement here; None if retrieval was not measured, or says nothing.
        chance: Agreement of a random ranking at that k.
        agreement: Of the student with the teacher.
        teacher_recall: Recall@1 of the teacher; None if not measured.
        student_recall: Of the student, likewise.
        query_recall: Of the query itself, without any projection; None if it is not among the rivals.
        rivals: The baselines.
        costs: Of student and teacher.
        cancelled: Queries for which the teacher's output has no direction but rounding's.
        constant_is_perfect: The teacher gives one direction to every query.
    """

    num_queries: int
    num_clusters: int
    broken: int
    cosine: float | None
    constant_cosine: float
    skill: Estimate
    rivals: tuple[Rival, ...]
    costs: CostComparison
    cancelled: int = 0
    constant_is_perfect: bool = False
    agreement_at: int | None = None
    chance: float = 0.0
    agreement: Estimate | None = None
    teacher_recall: float | None = None
    student_recall: float | None = None
    query_recall: float | None = None

    def affordable_rivals(self) -> tuple[Rival, ...]:
        """Return the rivals that need no more operations than the student, best skill first.

        One that needs more is no argument against the student.
        """
        cheap = (rival for rival in self.rivals if rival.cost.flops <= self.costs.student.flops)
        return tuple(sorted(cheap, key=_skill, reverse=True))

    def simple_rivals(self) -> tuple[Rival, ...]:
        """Return the affordable rivals that cost less than the teacher, in parameters and operations."""
        teacher = self.costs.teacher
        return tuple(
            rival for rival in self.affordable_rivals() if compare_size(rival.cost, teacher) == "cheaper"
        )

    def best_rival(self) -> Rival | None:
        """Return the rival with the best skill, whatever it costs; None without rivals."""
        return max(self.rivals, key=_skill, default=None)


def _skill(rival: Rival) -> float:
    return float("-inf") if rival.skill.value is None else rival.skill.value
