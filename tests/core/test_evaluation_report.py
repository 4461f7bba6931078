from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.architecture import Cost
from distill_core.arrays import drawn_by_cluster
from distill_core.errors import VectorError
from distill_core.evaluation import (
    AnswerIndex,
    Assessment,
    Baseline,
    CostComparison,
    HeldOut,
    LadderData,
    assess,
    ladder,
    retrieval,
)
from distill_core.teacher import MultiHeadLDA

Matrix = NDArray[np.float32]
RNG = np.random.default_rng(4)
HEADS, PER_HEAD, DIMENSION = 14, 8, 24


def unit(rows: NDArray[np.floating]) -> Matrix:
    directions: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return directions


def build() -> tuple[HeldOut, tuple[Baseline, ...]]:
    centroids = unit(RNG.normal(size=(HEADS, DIMENSION)))
    clusters = np.repeat(np.arange(HEADS), PER_HEAD)
    queries = unit(centroids[clusters] + 0.12 * RNG.normal(size=(HEADS * PER_HEAD, DIMENSION)))
    answers = unit(RNG.normal(size=(2 * HEADS, DIMENSION)))
    teacher = MultiHeadLDA(centroids, answers[::2] + answers[1::2], 0.15)
    targets = teacher.project(queries)
    part = np.tile(np.array(["test", "test", "validation", *["train"] * 5]), HEADS)
    train, validation, test = (np.flatnonzero(part == name) for name in ("train", "validation", "test"))
    held_out = HeldOut(
        train_queries=queries[train],
        train_targets=targets[train],
        queries=queries[test],
        targets=targets[test],
        clusters=clusters[test],
        answers=AnswerIndex(np.arange(2 * HEADS), answers),
        true_answers=[{2 * cluster, 2 * cluster + 1} for cluster in clusters[test].tolist()],
    )
    data = LadderData(teacher, queries[train], targets[train], queries[validation], targets[validation])
    rungs = ladder(data)
    return held_out, tuple(rungs)


HELD_OUT, RUNGS = build()
CHEAPER = CostComparison(
    student=Cost(parameters=100, flops=200, latency_us=1.0),
    teacher=Cost(parameters=2 * HEADS * DIMENSION, flops=4 * HEADS * DIMENSION, latency_us=9.0),
)


def judged(projections: NDArray[np.floating]) -> Assessment:
    return assess(HELD_OUT, projections, RUNGS, CHEAPER)


def test_a_student_equal_to_the_teacher_is_perfect() -> None:
    assessment = judged(HELD_OUT.targets)
    student = assessment.student
    assert student.skill.value == pytest.approx(1.0)
    unseen = 0.025 ** (1 / HEADS)  # of as many clusters none was lost
    assert (student.skill.low, student.skill.high) == pytest.approx((unseen, 1.0), rel=0.02)
    assert (student.r2.value, student.relative_norm.value) == pytest.approx((1.0, 1.0))
    assert student.mse.value == 0.0
    assert assessment.retrieval is not None
    scores = assessment.retrieval.of("student")
    assert scores is not None
    for k in (1, 5, 10):
        agreement = scores.agreement(k)
        assert (agreement.value, agreement.low) == pytest.approx((1.0, unseen))
    assert (assessment.verdict.kind, assessment.verdict.rule) == ("cannot_tell", "too close to call")


def test_a_constant_student_has_skill_zero() -> None:
    """Not the very constant of the ladder: a collapsed student finds one of its own."""
    rng = np.random.default_rng(0)
    near = HELD_OUT.constant + 0.02 * np.linalg.norm(HELD_OUT.constant) * rng.normal(size=DIMENSION)
    for constant in (HELD_OUT.constant, near):
        assessment = judged(np.tile(constant, (len(HELD_OUT.queries), 1)))
        skill = assessment.student.skill
        assert skill.low is not None
        assert skill.high is not None
        assert skill.low <= 0.0 <= skill.high
        assert assessment.verdict.kind == "keep_lda"
        assert "no better than a constant" in assessment.verdict.sentence


def test_the_constants_own_rung_has_skill_zero() -> None:
    constant = judged(HELD_OUT.targets).baselines[0]
    assert constant.name == "constant"
    assert constant.skill.value == pytest.approx(0.0, abs=1e-6)
    assert constant.r2.value == pytest.approx(0.0, abs=1e-6)


def cosines(one: NDArray[np.floating], other: NDArray[np.floating]) -> list[float]:
    return [
        float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))
        for a, b in zip(one.astype(np.float64), other.astype(np.float64), strict=True)
    ]


def test_figures_and_paired_differences_equal_a_loop() -> None:
    projections = HELD_OUT.targets * 1.5 + 0.1 * RNG.normal(size=HELD_OUT.targets.shape)
    assessment = judged(projections)
    targets, constant = HELD_OUT.targets.astype(np.float64), HELD_OUT.constant
    own = cosines(projections, targets)
    flat = cosines(np.tile(constant, (len(targets), 1)), targets)
    scale = sum(1 - value for value in flat)
    assert assessment.n == len(own) == 2 * HEADS
    assert assessment.num_clusters == HEADS
    assert assessment.student_cosines == pytest.approx(tuple(own))
    student = assessment.student
    assert student.skill.value == pytest.approx(1 - sum(1 - value for value in own) / scale)
    assert student.mse.value == pytest.approx(float(((projections - targets) ** 2).mean()))
    squares = [float(((t - constant) ** 2).sum()) for t in targets]
    errors = [float(((p - t) ** 2).sum()) for p, t in zip(projections, targets, strict=True)]
    assert student.r2.value == pytest.approx(1 - sum(errors) / sum(squares))
    lengths = [math.hypot(*row) for row in projections], [math.hypot(*row) for row in targets]
    assert student.relative_norm.value == pytest.approx(sum(lengths[0]) / sum(lengths[1]))
    for rung, score in zip(RUNGS, assessment.baselines, strict=True):
        theirs = cosines(rung.predict(HELD_OUT.queries), targets)
        difference = sum(own) - sum(theirs)
        assert score.cosine_difference is not None
        assert score.skill_difference is not None
        assert score.cosine_difference.value == pytest.approx(difference / len(own), abs=1e-6)
        assert score.skill_difference.value == pytest.approx(difference / scale, abs=1e-6)


def test_each_rival_is_judged_by_its_own_cost() -> None:
    """Top-8 routing does what this student does, and needs more operations than it."""
    top = next(rung for rung in RUNGS if rung.name == "top_8")
    projections = top.predict(HELD_OUT.queries)
    assert judged(projections).verdict.kind == "distil"
    large = Cost(parameters=10**6, flops=10**6, latency_us=9.0)
    costs = CostComparison(student=Cost(parameters=1, flops=10**5, latency_us=1.0), teacher=large)
    verdict = assess(HELD_OUT, projections, RUNGS, costs).verdict
    assert (verdict.kind, verdict.baseline) == ("use_simpler", "top_8")


def test_the_best_baseline_comes_with_its_cosines() -> None:
    assessment = judged(HELD_OUT.targets)
    means = {score.name: score.mean_cosine.value or -1.0 for score in assessment.baselines}
    assert assessment.best_baseline == max(means, key=lambda name: means[name])
    best = next(rung for rung in RUNGS if rung.name == assessment.best_baseline)
    expected = cosines(best.predict(HELD_OUT.queries), HELD_OUT.targets)
    assert assessment.best_baseline_cosines == pytest.approx(tuple(expected))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_a_student_that_does_not_compute_gets_no_good_verdict(bad: float, rows: slice) -> None:
    projections = HELD_OUT.targets.copy()
    projections[rows, 3] = bad
    assessment = judged(projections)
    assert assessment.student.broken == len(projections[rows])
    assert assessment.student.cosine is None
    assert assessment.student.skill.value is None
    assert assessment.student_cosines[0] is None
    assert assessment.verdict.kind == "keep_lda"
    assert "not a number" in assessment.verdict.sentence
    assert msgspec.json.decode(msgspec.json.encode(assessment), type=Assessment) == assessment


def test_it_survives_json() -> None:
    assessment = judged(HELD_OUT.targets)
    assert msgspec.json.decode(msgspec.json.encode(assessment), type=Assessment) == assessment


def test_a_teacher_without_differences_leaves_skill_undefined() -> None:
    flat = np.tile(HELD_OUT.targets[:1], (len(HELD_OUT.queries), 1))
    held_out = HeldOut(
        train_queries=HELD_OUT.train_queries,
        train_targets=flat[:1],
        queries=HELD_OUT.queries,
        targets=flat,
        clusters=HELD_OUT.clusters,
    )
    assessment = assess(held_out, flat, RUNGS, CHEAPER)
    assert assessment.student.skill.value is None
    assert assessment.verdict.kind == "use_simpler"
    assert assessment.verdict.baseline == "constant"


def test_without_answers_retrieval_is_not_judged() -> None:
    held_out = HeldOut(
        train_queries=HELD_OUT.train_queries,
        train_targets=HELD_OUT.train_targets,
        queries=HELD_OUT.queries,
        targets=HELD_OUT.targets,
        clusters=HELD_OUT.clusters,
    )
    assessment = assess(held_out, HELD_OUT.targets, RUNGS, CHEAPER)
    assert assessment.retrieval is None
    assert assessment.verdict.kind == "cannot_tell"


def test_near_duplicates_across_the_split_are_counted_and_can_be_left_out() -> None:
    queries = HELD_OUT.queries.copy()
    queries[[2, 5]] = 3.0 * HELD_OUT.train_queries[[0, 9]]
    held_out = HeldOut(
        train_queries=HELD_OUT.train_queries,
        train_targets=HELD_OUT.train_targets,
        queries=queries,
        targets=HELD_OUT.targets,
        clusters=HELD_OUT.clusters,
        answers=HELD_OUT.answers,
        true_answers=HELD_OUT.true_answers,
    )
    seen = held_out.near_duplicates()
    expected = [
        any(cosines(query[None], known[None])[0] > 0.98 for known in HELD_OUT.train_queries)
        for query in queries
    ]
    assert seen.tolist() == expected
    assert assess(held_out, HELD_OUT.targets, RUNGS, CHEAPER).near_duplicates == sum(expected) >= 2
    kept = held_out.keeping(~seen)
    assert len(kept.queries) == len(kept.true_answers) == len(queries) - sum(expected)
    assert not kept.near_duplicates().any()
    assert kept.clusters.tolist() == [
        c for c, out in zip(HELD_OUT.clusters, expected, strict=True) if not out
    ]
    assert assess(kept, kept.targets, RUNGS, CHEAPER).n == len(kept.queries)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(VectorError, match="differ"):
        judged(HELD_OUT.targets[:-1])
    with pytest.raises(VectorError, match="no test query"):
        HELD_OUT.keeping(np.zeros(2 * HEADS, np.bool_))
    with pytest.raises(VectorError, match="number"):
        HeldOut(
            train_queries=HELD_OUT.train_queries,
            train_targets=HELD_OUT.train_targets,
            queries=HELD_OUT.queries,
            targets=HELD_OUT.targets,
            clusters=HELD_OUT.clusters[1:],
        )
    with pytest.raises(VectorError, match="NaN"):
        HeldOut(
            train_queries=HELD_OUT.train_queries,
            train_targets=HELD_OUT.train_targets,
            queries=HELD_OUT.queries,
            targets=HELD_OUT.targets * np.float32(math.nan),
            clusters=HELD_OUT.clusters,
        )


def test_many_answers_are_ranked_for_a_sample_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole clusters of it; its figures are those of a judgement of these queries alone."""
    monkeypatch.setattr(retrieval, "_FEWEST_RANKED", 12)
    monkeypatch.setattr(retrieval, "_SCORES_OF_MANY", 1)
    projections = HELD_OUT.targets + 0.2 * unit(RNG.normal(size=HELD_OUT.targets.shape))
    assessment = judged(projections)
    table = assessment.retrieval
    assert table is not None
    assert (table.num_ranked, table.num_judged) == (12, 12)
    assert "(a sample of 12 queries)" in " ".join(assessment.verdict.reasons)
    rows = drawn_by_cluster(HELD_OUT.clusters, 12)
    assert len(np.unique(HELD_OUT.clusters[rows])) == 6
    assert HELD_OUT.answers is not None
    truth = HELD_OUT.answers.positions([HELD_OUT.true_answers[row] for row in rows])
    own, teacher = (HELD_OUT.answers.rank(part[rows], truth) for part in (projections, HELD_OUT.targets))
    student = table.of("student")
    assert student is not None
    assert student.agreement_at_10.value == pytest.approx(own.agreement(teacher, 10).mean())
