"""A verdict's numbers in words: the three reasons, and what size of a student would pay."""

from __future__ import annotations

from distill_core.architecture import Cost
from distill_core.evaluation.cost import CostComparison
from distill_core.evaluation.evidence import Evidence, Rival
from distill_core.evaluation.intervals import Estimate


def reasons(evidence: Evidence) -> tuple[str, str, str]:
    """Return one line each on skill, retrieval and cost."""
    return _skill_line(evidence), _retrieval_line(evidence), _cost_line(evidence)


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
