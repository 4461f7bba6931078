"""What a mean cosine and an agreement do not see: lengths, single queries, right answers, repetitions."""

from __future__ import annotations

from typing import NamedTuple

from distill_core.evaluation import evidence as words
from distill_core.evaluation.costs import number
from distill_core.evaluation.evidence import Evidence

TOLERATED_LENGTHS = (0.5, 2.0)
"""Mean length of a student's outputs over the teacher's, beyond which they are no replacement of these."""

TOLERATED_LOST = 0.01
"""Share of the test queries on which a student may be lost."""

TOLERATED_RECALL_LOSS = 0.01
"""Right first answers that a student may cost, a share of the queries; more, beyond chance, is too many."""

TOLERATED_REPEATED = 0.2
"""Share of the test queries that nearly repeat a training query: with more, learning by heart would do."""


class Objection(NamedTuple):
    """Why a student that is near and cheap is not to be taken all the same, as a verdict says it.

    Attributes:
        rule: The name of the rule, as in `docs/verdict.md`.
        because: What follows "Keep the LDA: " or "Cannot tell: ".
        would_change: What would lead to another verdict.
    """

    rule: str
    because: str
    would_change: str


def repeated_questions(evidence: Evidence) -> Objection | None:
    """Object where so many test queries stand in training that the figures are about memory."""
    if evidence.near_duplicates <= TOLERATED_REPEATED * evidence.num_queries:
        return None
    return Objection(
        "repeated questions",
        f"{evidence.near_duplicates} of {evidence.num_queries} test queries nearly repeat a training query, "
        "and a table of these would do as well.",
        "Judge without them (--exclude-near-duplicates), or split by cluster.",
    )


def blind_spot(evidence: Evidence) -> Objection | None:
    """Object to a student for the first of its faults that no mean shows; None if it has none."""
    return _other_lengths(evidence) or _lost_queries(evidence) or _fewer_right_answers(evidence)


def _other_lengths(evidence: Evidence) -> Objection | None:
    norm = evidence.relative_norm
    shortest, longest = TOLERATED_LENGTHS
    if norm is None or norm.value is None or shortest <= norm.value <= longest:
        return None
    return Objection(
        "other lengths",
        f"the student's outputs are {number(norm.value)} times as long, and whoever uses their lengths "
        "gets something else.",
        "Outputs of the LDA's lengths: a smaller λ gives the MSE, which sees them, more weight.",
    )


def _lost_queries(evidence: Evidence) -> Objection | None:
    if evidence.lost <= TOLERATED_LOST * evidence.num_queries:
        return None
    return Objection(
        "lost queries",
        f"the student is lost on {evidence.lost} of {evidence.num_queries} test queries, where a constant is "
        "nearer and most of the LDA's answers are missed.",
        f"At most {TOLERATED_LOST:.0%} of such queries: look at the worst ones, train longer or on more.",
    )


def _fewer_right_answers(evidence: Evidence) -> Objection | None:
    lead = evidence.recall_lead
    if lead is None or lead.high is None or lead.high >= -TOLERATED_RECALL_LOSS:
        return None
    return Objection(
        "fewer right answers",
        "the student's first answer is right less often; its Recall@1 minus the LDA's is "
        f"{words.interval(lead)}.",
        f"A Recall@1 that is at most {TOLERATED_RECALL_LOSS:.2f} below the LDA's: train longer.",
    )
