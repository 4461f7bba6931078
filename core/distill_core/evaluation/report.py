"""Everything about one student on the test queries, gathered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Values, drawn_by_cluster
from distill_core.errors import VectorError
from distill_core.evaluation.baselines import Baseline
from distill_core.evaluation.costs import CostComparison
from distill_core.evaluation.evidence import Evidence, Rival
from distill_core.evaluation.held_out import HeldOut
from distill_core.evaluation.intervals import ClusterBootstrap, Estimate
from distill_core.evaluation.metrics import PERFECT_LOSS, Score, Scorer
from distill_core.evaluation.retrieval import (
    RetrievalScores,
    RetrievalTable,
    chance_levels,
    retrieval_scores,
)
from distill_core.evaluation.teacher_findings import Findings
from distill_core.evaluation.verdict import Verdict, decide

_HALF = 0.5


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """A student judged.

    Attributes:
        n: Test queries.
        num_clusters: Clusters among them, which the intervals resample.
        near_duplicates: Test queries with a training query above cosine 0.98.
        student: Its score.
        baselines: The rungs in the order given, each with its paired difference to the student.
        best_baseline: Name of the one with the best mean cosine; None without baselines.
        student_cosines: (n,) in the order of the test queries; None where the output is not a number.
        best_baseline_cosines: Likewise.
        retrieval: None if there are no answers.
        verdict: What to do.
        is_weighted: Whether the queries count as often as they are asked.
    """

    n: int
    num_clusters: int
    near_duplicates: int
    student: Score
    baselines: tuple[Score, ...]
    best_baseline: str | None
    student_cosines: tuple[float | None, ...]
    best_baseline_cosines: tuple[float | None, ...]
    retrieval: RetrievalTable | None
    verdict: Verdict
    is_weighted: bool = False

    @property
    def weights_words(self) -> str:
        """How the queries count, to be said after their number; empty where all count alike."""
        return ", each as often as it is asked" if self.is_weighted else ""

    def ranked(self) -> list[Score]:
        """Return the student and the baselines, best mean cosine first, broken ones last."""
        return sorted([self.student, *self.baselines], key=_mean_cosine, reverse=True)


def assess(
    held_out: HeldOut,
    predicted: ArrayLike,
    baselines: Iterable[Baseline],
    costs: CostComparison,
    *,
    teacher: Findings | None = None,
    seed: int = 0,
) -> Assessment:
    """Judge a student's projections (n, d) of the test queries against the teacher and the baselines.

    Args:
        held_out: The test queries.
        predicted: (n, d), the student's projections; may hold NaN.
        baselines: The fitted ladder.
        costs: To run student and teacher, measured if they were.
        teacher: What the teacher finds beside what is found without it, if that was looked at.
        seed: Of the bootstrap.

    Raises:
        VectorError: The student's projections do not have the shape of the teacher's.
    """
    student = np.asarray(predicted)
    if student.shape != held_out.targets.shape:
        raise VectorError(
            f"The student's projections {student.shape} and the teacher's {held_out.targets.shape} differ.",
            "Project the test queries, all of them, in their order.",
        )
    rungs = tuple((baseline, baseline.predict(held_out.queries)) for baseline in baselines)
    bootstrap = ClusterBootstrap(held_out.clusters, seed=seed, weights=held_out.weights)
    scorer = Scorer(held_out.targets, held_out.constant, bootstrap)
    cosines = scorer.cosines(student)
    scores = tuple(
        scorer.score(rung.name, rung.label, rung.cost, projections, cosines) for rung, projections in rungs
    )
    own = scorer.score("student", "student", costs.student, student)
    best = max(scores, key=_mean_cosine, default=None)
    retrieval = _retrieval(
        held_out, chain([("student", student)], ((rung.name, rows) for rung, rows in rungs)), seed
    )
    near_duplicates = int(held_out.near_duplicates().sum())
    return Assessment(
        n=len(held_out.queries),
        num_clusters=bootstrap.num_clusters,
        near_duplicates=near_duplicates,
        is_weighted=held_out.weights is not None,
        student=own,
        baselines=scores,
        best_baseline=best.name if best else None,
        student_cosines=_numbers(cosines),
        best_baseline_cosines=next(
            (_numbers(scorer.cosines(rows)) for rung, rows in rungs if best and rung.name == best.name), ()
        ),
        retrieval=retrieval,
        verdict=decide(
            msgspec.structs.replace(
                _evidence(own, scores, retrieval, costs, scorer, bootstrap),
                teacher=teacher,
                cancelled=0 if held_out.cancelled is None else int(held_out.cancelled.sum()),
                near_duplicates=near_duplicates,
                lost=_lost(scorer, cosines, held_out, student, retrieval),
            )
        ),
    )


def _lost(
    scorer: Scorer, cosines: Values, held_out: HeldOut, student: ArrayLike, retrieval: RetrievalTable | None
) -> int:
    """Count the queries on which the student is lost, see `Evidence`; none without retrieval."""
    k, index = retrieval.telling_k if retrieval else None, held_out.answers
    if k is None or index is None:
        return 0
    rows = np.flatnonzero(scorer.farther_than_constant(cosines))
    no_truth = index.positions([()] * len(rows))
    mine, theirs = (index.rank(np.asarray(of)[rows], no_truth) for of in (student, held_out.targets))
    return int((mine.agreement(theirs, k) < _HALF).sum())


def _retrieval(
    held_out: HeldOut, contestants: Iterator[tuple[str, ArrayLike]], seed: int
) -> RetrievalTable | None:
    """Rank all answers for the test queries, or for a sample of whole clusters where answers are many."""
    index = held_out.answers
    if index is None:
        return None
    rows = drawn_by_cluster(held_out.clusters, index.most_ranked)
    weights = None if held_out.weights is None else held_out.weights[rows]
    bootstrap = ClusterBootstrap(held_out.clusters[rows], seed=seed, weights=weights)
    truth = index.positions([held_out.true_answers[row] for row in rows.tolist()])
    teacher = index.rank(held_out.targets[rows], truth)
    scores: list[RetrievalScores] = [retrieval_scores("teacher", teacher, teacher, bootstrap)]
    for name, projections in contestants:
        ranking = index.rank(np.asarray(projections)[rows], truth)
        scores.append(retrieval_scores(name, ranking, teacher, bootstrap))
    return RetrievalTable(
        num_answers=len(index),
        num_judged=int((~np.isnan(teacher.best_rank)).sum()),
        num_ranked=len(rows) if len(rows) < len(held_out.queries) else None,
        chance=chance_levels(len(index)),
        scores=tuple(scores),
    )


def _evidence(
    student: Score,
    baselines: tuple[Score, ...],
    retrieval: RetrievalTable | None,
    costs: CostComparison,
    scorer: Scorer,
    bootstrap: ClusterBootstrap,
) -> Evidence:
    k = retrieval.telling_k if retrieval else None

    def agreement(name: str) -> Estimate | None:
        scores = retrieval.of(name) if retrieval else None
        return scores.agreement(k) if scores and k else None

    def recall(name: str) -> float | None:
        scores = retrieval.of(name) if retrieval else None
        return scores.recall_at_1.value if scores else None

    own = retrieval.of("student") if retrieval else None
    return Evidence(
        num_queries=bootstrap.num_queries,
        num_clusters=bootstrap.num_clusters,
        effective_clusters=bootstrap.effective_clusters,
        is_weighted=bootstrap.weights is not None,
        broken=student.broken,
        cosine=student.mean_cosine.value,
        constant_cosine=scorer.constant_cosine,
        constant_is_perfect=1.0 - scorer.constant_cosine <= PERFECT_LOSS,
        skill=student.skill,
        agreement_at=k,
        num_ranked=retrieval.num_ranked if retrieval else None,
        chance=min(k / retrieval.num_answers, 1.0) if retrieval and k else 0.0,
        agreement=agreement("student"),
        teacher_recall=recall("teacher"),
        student_recall=recall("student"),
        query_recall=recall("query"),
        relative_norm=student.relative_norm,
        worst_cosine=student.cosine.min if student.cosine else None,
        recall_lead=own.recall_lead if own else None,
        rivals=tuple(
            Rival(
                name=score.name,
                label=score.label,
                skill=score.skill,
                difference=score.skill_difference or Estimate(None),
                agreement=agreement(score.name),
                cost=score.cost,
            )
            for score in baselines
        ),
        costs=costs,
    )


def _mean_cosine(score: Score) -> float:
    return float("-inf") if score.mean_cosine.value is None else score.mean_cosine.value


def _numbers(values: Values) -> tuple[float | None, ...]:
    return tuple(value if np.isfinite(value) else None for value in values.tolist())
