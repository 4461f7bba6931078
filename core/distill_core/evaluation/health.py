"""Is the teacher worth distilling? Seen before any training, at any temperature."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Values, arrays_sha256
from distill_core.config import check_temperature
from distill_core.database.cache import read_note, write_note
from distill_core.database.records import Progress, untold
from distill_core.evaluation.intervals import TRUSTED_CLUSTERS, effective_number
from distill_core.evaluation.teacher_findings import (
    Findings,
    TemperatureCurve,
    TemperaturePoint,
    best_temperature,
    finds_less_words,
    own_lead_words,
)
from distill_core.evaluation.teacher_sample import Looked, TeacherSample

if TYPE_CHECKING:
    from distill_core.teacher_data import LabelledQuestions

PASSING_COSINE = 0.99
"""The published validation passes a student whose mean cosine is above 0.99 (FACTS 4). Where a constant
passes it too, that test says nothing. It judges the teacher here, never a student."""

FEWEST_TEST_QUERIES = 20
"""Below 20 values the 5th percentile is the minimum, and one query moves Recall@1 by more than 0.05."""

WRONG_MORE_OFTEN = 0.5
"""A teacher with Recall@1 below this is wrong more often than right, and a perfect student copies that."""


TEMPERATURES = tuple(float(f"{10 ** (-2 + step / 6):.2g}") for step in range(13))
"""Where the curve is taken: from nearly hard routing, 0.01, to the database's default, 1, six to a decade."""

_NOTED_AS = "health 1"
"""With the version of what it is about: another figure must have another."""

_COARSER = 3
"""Of how many temperatures one is taken where a sample stands for all queries: two to a decade."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Median, 5th and 95th percentile over queries."""

    median: float
    p5: float
    p95: float


class TeacherHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a teacher does with its own queries at one temperature.

    Attributes:
        temperature: tau.
        num_heads: N.
        num_queries: n.
        num_looked_at: Queries that the figures are about, near-duplicates and unused heads too: all, unless
            that takes long; then those of clusters drawn at random.
        effective_heads: exp(entropy) of the routing weights: 1 is hard, N blends all heads alike.
        output_variance: Mean over dimensions of the outputs' variance; it is the MSE of a constant.
        constant_cosine: Mean cosine of the mean output to the outputs: what a constant would score.
        unused_heads: Rows of the heads that no query prefers, ascending. They do not depend on tau. None
            where a sample cannot tell.
        near_duplicates: Pairs of queries with a cosine above 0.98; `HealthProbe.near_duplicates` names them.
        recall_at_1: Share of queries whose best answer is a true one; None without true answers.
        mrr: Mean of 1 / rank of the best true answer, likewise.
        cancelled: Queries for which the answers cancel: their outputs have no direction but rounding's.
        num_judged: Queries with a true answer, over which Recall@1 and MRR are taken.
        findings: What the teacher finds beside what is found without it; None without true answers.
        warnings: Plain sentences, the gravest first; empty if all is well.
        notes: Plain sentences on what the figures leave out.
    """

    temperature: float
    num_heads: int
    num_queries: int
    num_looked_at: int
    effective_heads: Spread
    output_variance: float
    constant_cosine: float
    unused_heads: tuple[int, ...] | None
    near_duplicates: int
    recall_at_1: float | None
    mrr: float | None
    cancelled: int = 0
    num_judged: int = 0
    findings: Findings | None = None
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()


def known_health(
    probe: Callable[[], HealthProbe], content: str, temperature: float, weights: Values | None
) -> TeacherHealth:
    """Return what was found of a teacher before; what is found now is kept for the next time.

    Args:
        probe: Makes the probe, which is asked for only if nothing is known; it must not look at the whole.
        content: The identity of the teacher and its questions at this temperature.
        temperature: tau.
        weights: How often the questions are asked.
    """
    noted_as = _noted_as(content if weights is None else content + arrays_sha256(weights))
    noted = read_note(noted_as)
    if noted is not None:
        with suppress(msgspec.DecodeError):  # of another version
            return msgspec.json.decode(noted, type=TeacherHealth)
    found = probe().at(temperature)
    write_note(noted_as, msgspec.json.encode(found))
    return found


def _noted_as(content: str) -> str:
    return f"{_NOTED_AS} {TeacherHealth.__struct_fields__} {content}"


class HealthProbe:
    """A teacher's queries, prepared so that another temperature costs little.

    Args:
        labelled: The teacher, whose own temperature is only the default of `at`, with its queries, n >= 1,
            their clusters and heads, the answers to retrieve from and the true ones.
        whole: Whether every query is looked at, however long that takes; otherwise a sample of many.
        progress: Is told how far it is.
    """

    def __init__(
        self, labelled: LabelledQuestions, *, whole: bool = False, progress: Progress = untold
    ) -> None:
        self._teacher, self._num_queries = labelled.teacher, len(labelled.queries)
        self._weights = labelled.weights
        self._sample = TeacherSample(labelled, progress=progress)
        self._looked_at = self._sample
        if whole and not self._sample.is_whole:
            self._looked_at = TeacherSample(labelled, whole=True, progress=progress)
        self._judge = self._looked_at.judge()

    @cached_property
    def near_duplicates(self) -> NDArray[np.int64]:
        """The rows (p, 2), i < j, of looked at queries whose cosine is above 0.98."""
        return self._looked_at.near_duplicates()

    @cached_property
    def unused_heads(self) -> tuple[int, ...] | None:
        """Rows of the heads that are no query's nearest; None where a sample cannot tell."""
        return self._looked_at.unused_heads()

    def at(
        self,
        temperature: float | None = None,
        *,
        test_queries: int | None = None,
        test_clusters: int | None = None,
    ) -> TeacherHealth:
        """Return the health at a temperature, by default the teacher's own.

        Args:
            temperature: tau > 0.
            test_queries: Size of the test part, if the split is known, to warn when it is too small.
            test_clusters: Its clusters, likewise.
        """
        tau = self._teacher.temperature if temperature is None else check_temperature(temperature)
        looked = self._look(tau)
        heads = np.percentile(looked.effective_heads, (50, 5, 95)).tolist()
        constant, variance = looked.constant()
        findings = self._findings_of(looked)
        recall = findings.lda.recall_at_1.value if findings else None
        return TeacherHealth(
            temperature=tau,
            num_heads=self._teacher.num_heads,
            num_queries=self._num_queries,
            num_looked_at=len(self._looked_at.rows),
            effective_heads=Spread(median=heads[0], p5=heads[1], p95=heads[2]),
            output_variance=variance,
            constant_cosine=constant,
            unused_heads=self.unused_heads,
            near_duplicates=len(self.near_duplicates),
            recall_at_1=recall,
            mrr=findings.lda.mrr.value if findings else None,
            cancelled=looked.cancelled,
            num_judged=findings.num_judged if findings else 0,
            findings=findings,
            warnings=(
                *((finds_less_words(findings),) if findings and findings.finds_less else ()),
                *_cancelling_warnings(looked.cancelled, len(self._looked_at.rows)),
                *_teacher_warnings(constant, heads[0], self._teacher.num_heads, recall),
                *_size_warnings(test_queries, test_clusters),
            ),
            notes=(
                *((own_lead_words(findings),) if findings and findings.lead_is_its_own else ()),
                *self._weights_words(),
            ),
        )

    def _weights_words(self) -> tuple[str, ...]:
        weights = self._weights
        if weights is None:
            return ()
        return (
            "Questions count as often as they are asked, the most asked "
            f"{weights.max() / weights.mean():.3g} times as much as the mean: together they tell as much as "
            f"{effective_number(weights):,.0f} of {len(weights):,} that count alike "
            "(in a run, --query-weights equal counts each once).",
        )

    def _look(self, temperature: float) -> Looked:
        curve = self._curve_and_looks
        known = None if curve is None or self._looked_at is not self._sample else curve[1].get(temperature)
        return known or self._looked_at.look((temperature,))[0]

    @cached_property
    def _curve_and_looks(self) -> tuple[TemperatureCurve, dict[float, Looked]] | None:
        judge = self._judge if self._looked_at is self._sample else self._sample.judge()
        if judge is None or self._judge is None:
            return None
        temperatures = TEMPERATURES if self._sample.is_whole else TEMPERATURES[::_COARSER]
        looks = self._sample.look(temperatures)
        points = []
        for looked in looks:
            shown, left_out = looked.ranks
            points.append(
                TemperaturePoint(
                    temperature=looked.temperature,
                    effective_heads=float(np.median(looked.effective_heads)),
                    constant_cosine=looked.constant()[0],
                    mrr=judge.mrr(shown),
                    left_out_mrr=judge.mrr(left_out) if judge.knows_left_out else None,
                )
            )
        best = best_temperature(points)
        curve = TemperatureCurve(num_judged=judge.num_judged, points=tuple(points), best=best)
        return curve, dict(zip(temperatures, looks, strict=True))

    def _findings_of(self, looked: Looked) -> Findings | None:
        if self._judge is None or self._curve_and_looks is None:
            return None
        curve = self._curve_and_looks[0]
        best = self._look(curve.best)
        return self._judge.findings(looked.temperature, looked.ranks, curve, best.ranks)


def _teacher_warnings(constant: float, heads: float, num_heads: int, recall: float | None) -> tuple[str, ...]:
    warnings = []
    if constant > PASSING_COSINE:
        warnings.append(
            f"The teacher is nearly constant: one fixed vector would score a mean cosine of {constant:.4f}, "
            f"and half of the queries blend {heads:.1f} or more of {num_heads} heads. A lower temperature "
            "lets the heads differ."
        )
    if recall is not None and recall < WRONG_MORE_OFTEN:
        warnings.append(
            f"The teacher itself puts a true answer first for {recall:.0%} of its queries only; "
            "a student cannot do better than copy it."
        )
    return tuple(warnings)


def _cancelling_warnings(cancelled: int, num_queries: int) -> tuple[str, ...]:
    if not cancelled:
        return ()
    return (
        f"The answers of the heads cancel for {cancelled} of {num_queries} queries: what is left has next "
        "to no length, and its direction is rounding. A student cannot learn it; a lower temperature, or "
        "other answers, would give it one.",
    )


def _size_warnings(queries: int | None, clusters: int | None) -> tuple[str, ...]:
    few_queries = queries is not None and queries < FEWEST_TEST_QUERIES
    few_clusters = clusters is not None and clusters < TRUSTED_CLUSTERS
    if not (few_queries or few_clusters):
        return ()
    size = [] if queries is None else [f"{queries} queries"]
    size += [] if clusters is None else [f"{clusters} clusters"]
    return (
        f"The test part, {' of '.join(size)}, is too small to tell much: take {FEWEST_TEST_QUERIES} queries "
        f"of {TRUSTED_CLUSTERS} clusters or more.",
    )
