"""What a teacher finds, beside what is found without it: the bare query, and its nearest head's answer.

All figures are about the same questions, in the same resampled clusters, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Ids, Values
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate
from distill_core.wording import estimate_words, plural


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """How well true answers are found, over the judged questions.

    Attributes:
        recall_at_1: Share of questions whose best answer is a true one.
        recall_at_10: Share with a true one among the 10 best.
        mrr: Mean of 1 / rank of the best true answer.
    """

    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr: Estimate


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """What the teacher finds for questions whose share is taken out of the centroids of their heads.

    Attributes:
        num_judged: Questions for which that is known.
        lda: The multi-head LDA.
        nearest: The answer of the nearest centroid.
        difference: The LDA's MRR minus that of the bare query, on these questions.
    """

    num_judged: int
    lda: Found
    nearest: Found
    difference: Estimate


RECOMMENDED_TEMPERATURE = 0.1

MRR_THAT_COUNTS = 0.01
"""An MRR that is shown to be lower by less than this is no reason to take another temperature."""


class TemperaturePoint(msgspec.Struct, frozen=True, kw_only=True):
    """A teacher at one temperature.

    Attributes:
        temperature: tau.
        effective_heads: Their median over questions.
        constant_cosine: What a constant would score.
        mrr: Of the LDA as it stands.
        left_out_mrr: With each question's share taken out; None where that is not known.
    """

    temperature: float
    effective_heads: float
    constant_cosine: float
    mrr: Estimate
    left_out_mrr: Estimate | None

    @property
    def held_out_mrr(self) -> Estimate:
        """The figure that a new question is likely to meet: the one left out, where it is known."""
        return self.left_out_mrr or self.mrr


class TemperatureCurve(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher finds over its temperature.

    Attributes:
        num_judged: Questions that the MRR is about.
        points: In the order of the temperatures.
        best: The temperature of the point that finds most, by `held_out_mrr`; see `best_temperature`.
    """

    num_judged: int
    points: tuple[TemperaturePoint, ...]
    best: float

    @property
    def best_point(self) -> TemperaturePoint:
        """The point that finds most."""
        return next(point for point in self.points if point.temperature == self.best)

    @property
    def is_left_out(self) -> bool:
        """Whether each question's share was taken out of its centroids."""
        return self.points[0].left_out_mrr is not None


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher finds at one temperature, and what is found without it.

    Attributes:
        temperature: tau.
        num_judged: Questions that have a true answer.
        num_clusters: Their clusters, which the intervals resample.
        lda: The multi-head LDA as it stands.
        query: The query vector itself, without any projection.
        nearest: The answer of the nearest centroid.
        difference: The LDA's MRR minus the bare query's, paired.
        finds_less: Whether all of that interval is below 0: then no projection at all finds more.
        left_out: The same with each question's share taken out of its centroids; None if it is not known.
        left_out_gap: Why it is not known for all questions; empty if it is.
        behind: The LDA's MRR minus that at the temperature that finds most, by the same figure as that.
        curve: What it finds over its temperature, the same at any.
    """

    temperature: float
    num_judged: int
    num_clusters: int
    lda: Found
    query: Found
    nearest: Found
    difference: Estimate
    finds_less: bool
    left_out: LeftOut | None
    left_out_gap: str
    behind: Estimate
    curve: TemperatureCurve

    @property
    def lead_is_its_own(self) -> bool:
        """Whether the LDA is ahead of the bare query, or not behind it, on its own questions alone."""
        if self.finds_less or self.left_out is None:
            return False
        is_ahead = _is_above(self.difference)
        return _is_below(self.left_out.difference) or (is_ahead and not _is_above(self.left_out.difference))

    @property
    def is_behind(self) -> bool:
        """Whether another temperature is shown to find more, by as much as counts."""
        return self.behind.high is not None and self.behind.high < -MRR_THAT_COUNTS


RankPair = tuple[Values, Values]
"""Ranks (n,) of the LDA as it stands, and with each question's share taken out."""


class RankJudge:
    """Turns ranks of true answers (n,), NaN where a question has none, into figures with intervals.

    Args:
        clusters: (n,) of each question.
        query: Ranks by the bare query.
        nearest: Ranks by the answer of the nearest centroid.
        nearest_left_out: Likewise, without each question's share; NaN where it is not known.
        gap: Why it is not known for all.
        weights: (n,) how often each question is asked; None: each counts once.
    """

    def __init__(
        self,
        clusters: Ids,
        query: Values,
        nearest: Values,
        nearest_left_out: Values,
        gap: str,
        weights: Values | None = None,
    ) -> None:
        self._judged = ~np.isnan(query)
        self.num_judged = int(self._judged.sum())
        self._query, self._nearest, self._nearest_left_out = query, nearest, nearest_left_out
        counted = None if weights is None else weights[self._judged]
        self._bootstrap = ClusterBootstrap(clusters[self._judged], weights=counted)
        self._gap = gap
        self.knows_left_out = not bool(np.isnan(nearest_left_out[self._judged]).all())

    def findings(
        self, temperature: float, ranks: RankPair, curve: TemperatureCurve, best: RankPair
    ) -> Findings:
        """Return what the LDA's ranks at a temperature come to.

        Args:
            temperature: tau.
            ranks: Of the LDA there.
            curve: What it finds over its temperature.
            best: Its ranks at the temperature that finds most.
        """
        lda, left_out = ranks
        difference = self._gain(lda, self._query)
        without = None
        if self.knows_left_out:
            without = LeftOut(
                num_judged=int((~np.isnan(left_out[self._judged])).sum()),
                lda=self._found(left_out),
                nearest=self._found(self._nearest_left_out),
                difference=self._gain(left_out, self._query),
            )
        return Findings(
            temperature=temperature,
            num_judged=self.num_judged,
            num_clusters=self._bootstrap.num_clusters,
            lda=self._found(lda),
            query=self._found(self._query),
            nearest=self._found(self._nearest),
            difference=difference,
            finds_less=_is_below(difference),
            left_out=without,
            left_out_gap=self._gap,
            behind=self._gain(left_out, best[1]) if self.knows_left_out else self._gain(lda, best[0]),
            curve=curve,
        )

    def mrr(self, ranks: Values) -> Estimate:
        """Return the mean of 1 / rank, of the judged questions that have one."""
        return self._share(1.0 / ranks, ranks)

    def _found(self, ranks: Values) -> Found:
        with np.errstate(invalid="ignore"):
            return Found(
                recall_at_1=self._share(ranks <= 1, ranks),
                recall_at_10=self._share(ranks <= 10, ranks),
                mrr=self.mrr(ranks),
            )

    def _share(self, values: ArrayLike, ranks: Values) -> Estimate:
        counted = ~np.isnan(ranks[self._judged])
        numbers = np.where(counted, np.asarray(values, np.float64)[self._judged], 0.0)
        return self._bootstrap.share(numbers, counted)

    def _gain(self, ranks: Values, others: Values) -> Estimate:
        """Return the MRR of ranks minus that of others, of the questions that have both."""
        gains = (1.0 / ranks - 1.0 / others)[self._judged]
        counted = ~np.isnan(gains)
        return self._bootstrap.ratio(np.where(counted, gains, 0.0), counted)


def best_temperature(points: Sequence[TemperaturePoint]) -> float:
    """Return the temperature that finds most; of equals the one nearest to what the method recommends."""

    def order(point: TemperaturePoint) -> tuple[float, float]:
        distance = abs(math.log(point.temperature / RECOMMENDED_TEMPERATURE))
        return round(point.held_out_mrr.value or 0.0, 9), -distance

    return max(points, key=order).temperature


def finds_less_words(findings: Findings) -> str:
    """Say that no projection at all finds more, and what temperature would help, if one does."""
    lda, query = findings.lda.mrr, findings.query.mrr
    return (
        f"The LDA finds less than no projection at all: MRR {estimate_words(lda, 3)}, and the bare query "
        f"{estimate_words(query, 3)}, over {questions_words(findings)}. {remedy_words(findings)}"
    )


def remedy_words(findings: Findings) -> str:
    """Name the temperature that finds most, or say that none finds what the bare query does."""
    curve, query = findings.curve, findings.query.mrr
    if all((point.mrr.value or 0.0) < (query.value or 0.0) for point in curve.points):
        first, last = curve.points[0], curve.points[-1]
        return f"No temperature from {first.temperature:g} to {last.temperature:g} mends that."
    return f"The LDA finds most at temperature {curve.best:g}: MRR {estimate_words(curve.best_point.mrr, 3)}."


def better_temperature_words(findings: Findings) -> str:
    """Say that the LDA at another temperature finds more than a student of this one can copy."""
    best = findings.curve.best_point
    how = ", each question left out of its centroids" if findings.curve.is_left_out else ""
    return (
        f"At temperature {best.temperature:g} the LDA itself finds more than any student of it at "
        f"{findings.temperature:g} can copy: MRR {estimate_words(best.held_out_mrr, 3)}{how}; "
        f"the difference at {findings.temperature:g} is {estimate_words(findings.behind, 3)}."
    )


def own_lead_words(findings: Findings) -> str:
    """Say that the teacher's figures owe their lead over the bare query to its own questions."""
    assert findings.left_out is not None
    without = findings.left_out
    order = "below" if _is_below(without.difference) else "not shown to be above"
    return (
        "The LDA owes its figures to its own questions, from which its centroids were made: with each "
        f"question's share taken out its MRR is {estimate_words(without.lda.mrr, 3)}, {order} that of the "
        f"bare query (difference {estimate_words(without.difference, 3)}). New questions meet that figure."
    )


def questions_words(findings: Findings) -> str:
    """Return "240 questions of 30 clusters"."""
    return f"{plural(findings.num_judged, 'question')} of {plural(findings.num_clusters, 'cluster')}"


def _is_below(difference: Estimate) -> bool:
    return difference.high is not None and difference.high < 0


def _is_above(difference: Estimate) -> bool:
    return difference.low is not None and difference.low > 0
