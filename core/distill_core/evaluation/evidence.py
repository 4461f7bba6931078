"""What a verdict rests on: costs, qualities and their differences, with the words that tell them."""

from __future__ import annotations

import msgspec

from distill_core.architecture import Cost
from distill_core.evaluation.costs import CostComparison, cost_line, factor, number
from distill_core.evaluation.intervals import Estimate
from distill_core.evaluation.teacher_findings import Findings, better_temperature_words


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
        effective_clusters: How many of equal size tell as much; None if they are all alike.
        is_weighted: Whether queries count as often as they are asked.
        broken: Queries whose projection by the student is not a number.
        cosine: The student's mean cosine; None if broken.
        constant_cosine: That of a constant.
        skill: Of the student; its value is None if the constant is perfect, or the student broken.
        agreement_at: The k of every agreement here; None if retrieval was not measured, or says nothing.
        num_ranked: Queries that retrieval was measured on, where these were a sample; None: all.
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
        relative_norm: Mean length of the student's outputs over that of the teacher's; None if not measured.
        worst_cosine: The smallest cosine; None if not measured.
        lost: Queries for which a constant is nearer to the teacher, and of whose best answers the student
            finds fewer than half.
        recall_lead: The student's Recall@1 minus the teacher's, paired by query; None if not measured.
        near_duplicates: Test queries that nearly repeat a training query.
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
    num_ranked: int | None = None
    chance: float = 0.0
    agreement: Estimate | None = None
    teacher_recall: float | None = None
    student_recall: float | None = None
    query_recall: float | None = None
    teacher: Findings | None = None
    relative_norm: Estimate | None = None
    worst_cosine: float | None = None
    lost: int = 0
    recall_lead: Estimate | None = None
    near_duplicates: int = 0
    effective_clusters: float | None = None
    is_weighted: bool = False

    def affordable_rivals(self) -> tuple[Rival, ...]:
        """Return the rivals that need no more operations than the student, best skill first.

        One that needs more is no argument against the student.
        """
        cheap = (rival for rival in self.rivals if rival.cost.flops <= self.costs.student.flops)
        return tuple(sorted(cheap, key=_skill, reverse=True))

    def simple_rivals(self) -> tuple[Rival, ...]:
        """Return the affordable rivals that cost less than the teacher, by what the student is judged by."""
        return tuple(rival for rival in self.affordable_rivals() if self.costs.saves_size(rival.cost))

    def left_out(self) -> tuple[tuple[Rival, str], ...]:
        """Return the rivals that are no simple ones, best skill first, each with the reason."""
        simple = {rival.name for rival in self.simple_rivals()}
        others = sorted(self.rivals, key=_skill, reverse=True)
        return tuple((rival, self._why_left_out(rival)) for rival in others if rival.name not in simple)

    def _why_left_out(self, rival: Rival) -> str:
        own, teacher = self.costs.student.flops, self.costs.teacher
        if rival.cost.flops > own:
            return f"{number(rival.cost.flops / max(own, 1))} times the student's operations"
        if rival.cost.parameters > teacher.parameters and not self.costs.by_operations:
            return "more parameters than the LDA"
        return f"no fewer {'' if self.costs.by_operations else 'parameters and '}operations than the LDA"

    def best_rival(self) -> Rival | None:
        """Return the rival with the best skill, whatever it costs; None without rivals."""
        return max(self.rivals, key=_skill, default=None)


def _skill(rival: Rival) -> float:
    return float("-inf") if rival.skill.value is None else rival.skill.value


def reasons(evidence: Evidence) -> tuple[str, ...]:
    """Return lines on skill, retrieval, cost, rivals left out, blind spots of means, a better temperature."""
    lines = (
        _skill_line(evidence),
        _retrieval_line(evidence),
        cost_line(evidence.costs),
        _left_out_line(evidence),
        _hidden_line(evidence),
        _temperature_line(evidence),
    )
    return tuple(line for line in lines if line)


def _temperature_line(evidence: Evidence) -> str:
    findings = evidence.teacher
    return better_temperature_words(findings) if findings is not None and findings.is_behind else ""


def sample(evidence: Evidence) -> str:
    """Return the size of the test part, "48 queries of 29 clusters", and whether its queries count alike."""
    size = f"{_count(evidence.num_queries, 'query', 'queries')} of {_count(evidence.num_clusters, 'cluster')}"
    if evidence.is_weighted:
        size += ", each as often as it is asked"
    effective = effective_clusters(evidence)
    if effective > evidence.num_clusters / 2:
        return size
    return f"{size}, which tell as much as {effective:.1f} of equal size,"


def effective_clusters(evidence: Evidence) -> float:
    """Return the clusters, of equal size, that tell as much as those of the test part."""
    return evidence.num_clusters if evidence.effective_clusters is None else evidence.effective_clusters


def not_better(rival: Rival) -> str:
    """Return how a student compares with a rival that it does not beat: "worse than ridge regression"."""
    is_worse = rival.difference.high is not None and round(rival.difference.high, 3) < 0  # as it is shown
    return f"{'worse' if is_worse else 'no better'} than {rival.label}"


def beats(evidence: Evidence) -> str:
    """Return whom a student that beats every simple rival beats, and whom of those left out it does not."""
    left_out = evidence.left_out()
    unbeaten = next(((rival, why) for rival, why in left_out if not rival.beaten), None)
    if not left_out:
        return "beats every simpler rival"
    if unbeaten is None:
        return "beats every simpler rival, and those that cost more than it"
    rival, why = unbeaten
    return f"beats every rival that is asked, though it is {not_better(rival)} (left out: {why})"


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
    ranked = evidence.num_ranked
    sample = "" if ranked is None else f" (a sample of {ranked:,} queries)"
    line = f"Agreement with the LDA on the {best}{sample}: {agreement}, by chance {evidence.chance:.2f}"
    if evidence.teacher_recall is None or evidence.student_recall is None:
        return line + "."
    line += f"; Recall@1 {evidence.student_recall:.3f}, the LDA's {evidence.teacher_recall:.3f}"
    if evidence.recall_lead is not None:
        line += f", paired {interval(evidence.recall_lead)}"
    if evidence.query_recall is not None:
        line += f", without any projection {evidence.query_recall:.3f}"
    return line + "."


def _left_out_line(evidence: Evidence) -> str:
    told = [
        f"{rival.label} ({why}; {'beaten' if rival.beaten else f'the student is {not_better(rival)}'})"
        for rival, why in evidence.left_out()
    ]
    return f"Rivals left out: {', '.join(told)}." if told else ""


def _hidden_line(evidence: Evidence) -> str:
    """Return lengths, worst queries and near-duplicates, which a mean cosine does not show."""
    parts = []
    if evidence.relative_norm is not None and evidence.relative_norm.value is not None:
        norm = evidence.relative_norm
        parts.append(f"the outputs are {factor(norm)} as long as the LDA's")
    if evidence.worst_cosine is not None:
        lost = f"lost on {evidence.lost} of {evidence.num_queries}" if evidence.lost else "lost on no query"
        parts.append(f"the worst cosine is {_three(evidence.worst_cosine)}, the student is {lost}")
    if evidence.near_duplicates:
        nearly = (
            "test query nearly repeats" if evidence.near_duplicates == 1 else "test queries nearly repeat"
        )
        parts.append(f"{evidence.near_duplicates} {nearly} a training query")
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}." if told else ""


def _three(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
