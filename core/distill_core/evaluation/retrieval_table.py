"""Agreement with the teacher and success against the true answers, of all contestants."""

from __future__ import annotations

import msgspec
import numpy as np

from distill_core.arrays import Values
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate
from distill_core.evaluation.retrieval import Ranking

AGREEMENT_AT = (1, 5, 10)


class RetrievalScores(msgspec.Struct, frozen=True, kw_only=True):
    """How one contestant retrieves.

    Attributes:
        name: "teacher", "student", or a baseline's name.
        agreement_at_1: Mean share of its best answer that is the teacher's too; k is capped at the number of
            answers, here and below.
        agreement_at_5: Of its 5 best.
        agreement_at_10: Of its 10 best.
        recall_at_1: Share of queries whose best answer is a true one.
        recall_at_10: Share with a true one among the 10 best.
        mrr: Mean of 1 / rank of the best true answer.
    """

    name: str
    agreement_at_1: Estimate
    agreement_at_5: Estimate
    agreement_at_10: Estimate
    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr: Estimate

    def agreement(self, k: int) -> Estimate:
        """Return the agreement at 1, 5 or 10."""
        return {1: self.agreement_at_1, 5: self.agreement_at_5, 10: self.agreement_at_10}[k]


class RetrievalTable(msgspec.Struct, frozen=True, kw_only=True):
    """The contestants' retrieval over all answers of the database.

    Attributes:
        num_answers: m.
        num_judged: Queries that have a true answer, by which recall and MRR are counted.
        chance: Agreement of a random ranking at 1, 5 and 10: k / m, at most 1.
        scores: The teacher, the student, the baselines.
    """

    num_answers: int
    num_judged: int
    chance: tuple[float, float, float]
    scores: tuple[RetrievalScores, ...]

    def of(self, name: str) -> RetrievalScores | None:
        """Return one contestant's scores; None if it was not among them."""
        return next((scores for scores in self.scores if scores.name == name), None)

    @property
    def telling_k(self) -> int | None:
        """The largest of 10, 5 and 1 at which a random ranking agrees on half at most; None if none.

        Of 12 answers any two rankings share most of their 10 best: that says nothing.
        """
        telling = [k for k, chance in zip(AGREEMENT_AT, self.chance, strict=True) if chance <= 0.5]
        return max(telling, default=None)


def retrieval_scores(
    name: str, ranking: Ranking, teacher: Ranking, bootstrap: ClusterBootstrap
) -> RetrievalScores:
    """Score one contestant's ranking against the teacher's and against the true answers."""
    judged = ~np.isnan(ranking.best_rank)
    ranks = ranking.best_rank

    def agreement(k: int) -> Estimate:
        shares = 1.0 - ranking.agreement(teacher, k)
        return bootstrap.loss(shares).subtracted_from(1.0).clipped(0.0, 1.0)

    def mean_of_judged(values: Values) -> Estimate:
        return bootstrap.share(values, judged)

    with np.errstate(invalid="ignore"):
        return RetrievalScores(
            name=name,
            agreement_at_1=agreement(1),
            agreement_at_5=agreement(5),
            agreement_at_10=agreement(10),
            recall_at_1=mean_of_judged((ranks <= 1).astype(np.float64)),
            recall_at_10=mean_of_judged((ranks <= 10).astype(np.float64)),
            mrr=mean_of_judged(1.0 / ranks),
        )


def chance_levels(num_answers: int) -> tuple[float, float, float]:
    """Return k / m, at most 1, for agreement at 1, 5 and 10."""
    at_1, at_5, at_10 = (min(k / num_answers, 1.0) for k in AGREEMENT_AT)
    return at_1, at_5, at_10
