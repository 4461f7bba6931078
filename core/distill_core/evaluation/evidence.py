"""What a verdict rests on: costs, qualities and their differences, with the words that tell them."""

from __future__ import annotations

from typing import Literal

import msgspec

from distill_core.architecture import Cost
from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.teacher_findings import Findings, better_temperature_words

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
        teacher: What the teacher finds on all questions, whichever part they are in; None if not measured.
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
    teacher: Findings | None = None

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


def reasons(evidence: Evidence) -> tuple[str, ...]:
    """Return one line each on skill, retrieval and cost, and on a better temperature if there is one."""
    lines = _skill_line(evidence), _retrieval_line(evidence), _cost_line(evidence)
    if evidence.teacher is None or not evidence.teacher.is_behind:
        return lines
    return *lines, better_temperature_words(evidence.teacher)


def sample(evidence: Evidence) -> str:
    """Return the size of the test part, "48 queries of 29 clusters"."""
    return f"{_count(evidence.num_queries, 'query', 'queries')} of {_count(evidence.num_clusters, 'cluster')}"


def affordable(evidence: Evidence) -> str:
    """Return what a student must stay below to cost less than the teacher."""
    teacher = evidence.costs.teacher
    if evidence.costs.latency_ratio is not None and teacher.latency_us is not None:
        return f"under {_number(teacher.latency_us)} µs a query; or many more heads"
    if evidence.costs.by_operations:
        return f"under {teacher.flops:,} operations; or many more heads"
    return f"under {teacher.parameters:,} parameters and {teacher.flops:,} operations; or many more heads"


def extra_cost(costs: CostComparison) -> str:
    """Return how a student that is not cheaper compares, "takes 121 times the time"."""
    if costs.order == "similar":
        return "does not cost less"
    ratio = costs.latency_ratio
    if ratio is not None and ratio.value is not None:
        return f"takes {_number(ratio.value)} times the time"
    return f"needs {_number(costs.student.flops / max(costs.teacher.flops, 1))} times the operations"


def not_better(rival: Rival) -> str:
    """Return how a student compares with a rival that it does not beat: "worse than ridge regression"."""
    is_worse = rival.difference.high is not None and round(rival.difference.high, 3) < 0  # as it is shown
    return f"{'worse' if is_worse else 'not shown to be better'} than {rival.label}"


def interval(estimate: Estimate) -> str:
    """Return "0.720 (0.610 to 0.800)", the number alone without an interval, or "not defined"."""
    if estimate.value is None:
        return "not defined"
    if estimate.low is None or estimate.high is None:
        return f"{_three(estimate.value)} (no interval)"
    return f"{_three(estimate.value)} ({_three(estimate.low)} to {_three(estimate.high)})"


def _skill_line(evidence: Evidence) -> str:
    constant = f"a constant's is {evidence.constant_cosine:.4f}"
    if evidence.cosine is None:
        broken = f"{evidence.broken} of {evidence.num_queries} outputs are not numbers"
        return f"No mean cosine, because {broken}; {constant}."
    parts = [
        f"Skill {interval(evidence.skill)} on {sample(evidence)}",
        f"mean cosine {evidence.cosine:.4f}, {constant}",
    ]
    best = evidence.best_rival()
    told = [rival for rival in evidence.rivals if rival is best or rival.name == "ridge"]
    differences = [f"{rival.label} {interval(rival.difference)}" for rival in told]
    if differences:
        parts.append(f"the student's skill minus that of {', of '.join(differences)}")
    return "; ".join(parts) + "."


def _retrieval_line(evidence: Evidence) -> str:
    if evidence.agreement_at is None:
        return "Agreement in retrieval was not measured, or there are too few answers for it to say anything."
    agreement = interval(evidence.agreement or Estimate(None))
    best = "first answer" if evidence.agreement_at == 1 else f"best {evidence.agreement_at} answers"
    line = f"Agreement with the LDA on the {best}: {agreement}, by chance {evidence.chance:.2f}"
    if evidence.teacher_recall is None or evidence.student_recall is None:
        return line + "."
    line += f"; Recall@1 {evidence.student_recall:.3f}, the LDA's {evidence.teacher_recall:.3f}"
    if evidence.query_recall is not None:
        line += f", without any projection {evidence.query_recall:.3f}"
    return line + "."


def _cost_line(evidence: Evidence) -> str:
    student, teacher = evidence.costs.student, evidence.costs.teacher
    ratio = evidence.costs.latency_ratio
    size = f"{student.parameters:,} parameters against the LDA's {teacher.parameters:,}"
    if ratio is None:
        return f"{size}, {student.flops:,} operations a query against {teacher.flops:,}; time not measured."
    return f"A query takes {_factor(ratio)} the LDA's time{_times(student, teacher)}; {size}."


def _factor(ratio: Estimate) -> str:
    if ratio.value is None:
        return "an unknown multiple of"
    if ratio.low is None or ratio.high is None:
        return f"{_number(ratio.value)} times"
    return f"{_number(ratio.value)} ({_number(ratio.low)} to {_number(ratio.high)}) times"


def _times(student: Cost, teacher: Cost) -> str:
    if student.latency_us is None or teacher.latency_us is None:
        return ""
    return f", {_number(student.latency_us)} µs against {_number(teacher.latency_us)} µs"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _three(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
