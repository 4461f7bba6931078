"""Keep the LDA, use something simpler, distil, or cannot tell: the rules of `docs/verdict.md`, in its order.

No rule looks at a cosine. What counts: is the student better than a constant and than every simpler rival,
beyond what chance explains (skill and paired differences with their intervals); does it retrieve what the
teacher retrieves (agreement); does it cost less (measured, else counted).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from distill_core.evaluation import evidence as words
from distill_core.evaluation.evidence import Evidence, Rival
from distill_core.evaluation.intervals import TRUSTED_CLUSTERS, Estimate
from distill_core.evaluation.teacher_findings import remedy_words

Kind = Literal["keep_lda", "use_simpler", "distil", "cannot_tell"]
Nearness = Literal["yes", "no", "unsure"]

AGREEMENT_TARGET = 0.95
"""Share of the teacher's best answers that a replacement must find: the published target (FACTS 6)."""

TOLERATED_CANCELLED = 0.05
"""Share of the test queries whose teacher's output is rounding: with more, the figures are about noise."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and why.

    Attributes:
        kind: "keep_lda", "use_simpler", "distil" or "cannot_tell".
        sentence: The verdict in one sentence.
        reasons: Lines with numbers: skill, retrieval, cost, and a better temperature if there is one.
        would_change: What would lead to another verdict.
        rule: The name of the rule that decided, as in `docs/verdict.md`.
        baseline: The name of the baseline that "use_simpler" speaks of.
    """

    kind: Kind
    sentence: str
    reasons: tuple[str, ...]
    would_change: str
    rule: str
    baseline: str | None = None


def decide(evidence: Evidence) -> Verdict:
    """Return the verdict of the first rule that applies."""
    for rule in (
        _broken,
        _cancelling_teacher,
        _worse_than_none,
        _constant_teacher,
        _too_little_data,
        _no_better_than_constant,
        _costs_more,
    ):
        verdict = rule(evidence)
        if verdict is not None:
            return verdict
    return _against_rivals(evidence) or _by_retrieval(evidence)


def nearness(agreement: Estimate | None) -> Nearness:
    """Return whether the agreement with the teacher reaches the published target, beyond chance."""
    if agreement is None or agreement.low is None or agreement.high is None:
        return "unsure"
    if agreement.low >= AGREEMENT_TARGET:
        return "yes"
    return "no" if agreement.high < AGREEMENT_TARGET else "unsure"


def _broken(evidence: Evidence) -> Verdict | None:
    if not evidence.broken:
        return None
    return _verdict(
        evidence,
        "keep_lda",
        "broken student",
        f"Keep the LDA: the student's output is not a number for {evidence.broken} of "
        f"{evidence.num_queries} test queries.",
        "A student that computes: a lower learning rate, or weights saved before the loss was lost.",
    )


def _cancelling_teacher(evidence: Evidence) -> Verdict | None:
    if evidence.cancelled <= TOLERATED_CANCELLED * evidence.num_queries:
        return None
    return _verdict(
        evidence,
        "cannot_tell",
        "cancelling teacher",
        f"Cannot tell: the teacher's answers cancel for {evidence.cancelled} of {evidence.num_queries} test "
        "queries, and what is left has next to no length: its direction is rounding.",
        "A lower temperature, or answers that do not cancel: this teacher gives no direction to learn.",
    )


def _worse_than_none(evidence: Evidence) -> Verdict | None:
    findings = evidence.teacher
    if findings is None or not findings.finds_less:
        return None
    return _verdict(
        evidence,
        "use_simpler",
        "finds less than none",
        "Use something simpler: the LDA finds less than no projection at all "
        f"(MRR {words.interval(findings.lda.mrr)}, the bare query {words.interval(findings.query.mrr)}), so "
        "a student of it is the wrong question.",
        remedy_words(findings),
        baseline="query",
    )


def _constant_teacher(evidence: Evidence) -> Verdict | None:
    constant = next((rival for rival in evidence.rivals if rival.name == "constant"), None)
    agrees = constant is not None and _enough_clusters(evidence) and nearness(constant.agreement) == "yes"
    if not (evidence.constant_is_perfect or agrees):
        return None
    return _verdict(
        evidence,
        "use_simpler",
        "constant teacher",
        "Use something simpler: the teacher is nearly constant, and one fixed vector "
        + ("is all it gives." if evidence.constant_is_perfect else "retrieves what it retrieves."),
        "A lower temperature, or heads that differ: this teacher hardly distinguishes queries.",
        baseline="constant",
    )


def _too_little_data(evidence: Evidence) -> Verdict | None:
    if _judgeable(evidence):
        return None
    if evidence.costs.order != "cheaper":
        return _costs_more(evidence)
    return _verdict(
        evidence,
        "cannot_tell",
        "too little data",
        f"Cannot tell yet: {words.sample(evidence)} are too few to judge the student by.",
        f"Test queries of {TRUSTED_CLUSTERS} clusters or more; 15 or more give useful intervals.",
    )


def _no_better_than_constant(evidence: Evidence) -> Verdict | None:
    skill = evidence.skill
    if skill.low is None or skill.low > 0:
        return None
    worse = skill.high is not None and skill.high < 0
    sentence = "worse than a constant" if worse else "no better than a constant"
    return _verdict(
        evidence,
        "keep_lda",
        "no better than a constant",
        f"Keep the LDA: the student is {sentence}, as far as {words.sample(evidence)} can tell.",
        "A skill whose whole interval is above 0: train longer, or on augmented queries.",
    )


def _costs_more(evidence: Evidence) -> Verdict | None:
    if evidence.costs.order == "cheaper":
        return None
    unbeaten = [rival for rival in evidence.affordable_rivals() if not rival.beaten]
    cost = words.extra_cost(evidence.costs)
    if not _judgeable(evidence) or not evidence.rivals:
        reason = f"it is exact, and the student {cost}"
    elif unbeaten:
        reason = f"it is exact; the student {cost} and is {words.not_better(unbeaten[0])}"
    else:
        reason = f"the student beats every simpler rival, but {cost}, and the LDA is exact"
    return _verdict(
        evidence,
        "keep_lda",
        "costs more",
        f"Keep the LDA: {reason}.",
        f"A student that costs less than the LDA: {words.affordable(evidence)}.",
    )


def _against_rivals(evidence: Evidence) -> Verdict | None:
    """A simpler thing that the student does not beat, and that retrieves as the teacher does, is enough."""
    for rival in evidence.simple_rivals():
        if not rival.beaten and nearness(rival.agreement) == "yes":
            compared = f"{rival.label} does it, and the student is {words.not_better(rival)}"
            return _verdict(
                evidence,
                "use_simpler",
                "simpler is as good",
                f"Use something simpler: {compared}.",
                f"A student whose skill is above that of {rival.label} by more than its interval.",
                baseline=rival.name,
            )
    return None


def _by_retrieval(evidence: Evidence) -> Verdict:
    unbeaten = [rival for rival in evidence.simple_rivals() if not rival.beaten]
    near = nearness(evidence.agreement)
    if near == "no":
        return _not_near(evidence, unbeaten)
    if near == "unsure" or unbeaten or not evidence.rivals:
        return _uncertain(evidence, unbeaten)
    return _verdict(
        evidence,
        "distil",
        "beats all and is cheaper",
        "Distil: the student beats every simpler rival, retrieves what the LDA retrieves, and costs less."
        + _at_a_better_temperature(evidence),
        "Fewer heads, or a faster LDA: then the exact teacher costs less than the student.",
    )


def _at_a_better_temperature(evidence: Evidence) -> str:
    findings = evidence.teacher
    if findings is None or not findings.is_behind:
        return ""
    return f" But first take temperature {findings.curve.best:g}: there the LDA finds more than here."


def _not_near(evidence: Evidence, unbeaten: list[Rival]) -> Verdict:
    also = f", and is {words.not_better(unbeaten[0])}" if unbeaten else ""
    return _verdict(
        evidence,
        "keep_lda",
        "not near enough",
        f"Keep the LDA: the student does not retrieve what it retrieves{also}.",
        f"An agreement of {AGREEMENT_TARGET:.0%} or more: train longer, or on augmented queries.",
    )


def _uncertain(evidence: Evidence, unbeaten: list[Rival]) -> Verdict:
    if unbeaten:
        doubt = f"whether the student is better than {unbeaten[0].label}"
    elif evidence.agreement is None or evidence.agreement_at is None:
        doubt = "whether the student retrieves what the LDA retrieves"
    elif not evidence.rivals:
        doubt = "whether a simpler rival would do: none was measured"
    else:
        doubt = f"whether the student reaches an agreement of {AGREEMENT_TARGET:.0%}"
    return _verdict(
        evidence,
        "cannot_tell",
        "too close to call",
        f"Cannot tell yet {doubt}.",
        "More test queries from more clusters make the intervals narrower; so does a larger test share.",
    )


def _enough_clusters(evidence: Evidence) -> bool:
    return evidence.num_clusters >= TRUSTED_CLUSTERS


def _judgeable(evidence: Evidence) -> bool:
    return _enough_clusters(evidence) and evidence.skill.low is not None


def _verdict(
    evidence: Evidence,
    kind: Kind,
    rule: str,
    sentence: str,
    would_change: str,
    *,
    baseline: str | None = None,
) -> Verdict:
    return Verdict(
        kind=kind,
        sentence=sentence,
        reasons=words.reasons(evidence),
        would_change=would_change,
        rule=rule,
        baseline=baseline,
    )
