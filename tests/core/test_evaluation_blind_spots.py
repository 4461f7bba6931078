"""Planted students that a mean cosine, or an agreement, lets through."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from distill_core.architecture import Cost
from distill_core.evaluation import AnswerIndex, CostComparison, Estimate, HeldOut, Verdict, assess, decide
from distill_core.evaluation.baselines import constant_output
from distill_core.evaluation.evidence import Evidence
from tests.core.test_evaluation_verdict import CONSTANT, FAR, GOOD, NEAR, rival

Rows = NDArray[np.float32]
CLUSTERS, PER_CLUSTER, DIMENSION, ANSWERS = 100, 3, 24, 120
CHEAPER = CostComparison(student=Cost(parameters=100, flops=200), teacher=Cost(parameters=2000, flops=4000))


class Planted(NamedTuple):
    """300 test queries, 300 others to train on, and the teacher's outputs of the test queries."""

    held_out: HeldOut
    targets: Rows


@pytest.fixture(scope="module")
def planted() -> Planted:
    """Each cluster has one true answer, which the teacher ranks first for every query of it."""
    rng = np.random.default_rng(3)
    answers = rng.normal(size=(ANSWERS, DIMENSION))
    answers /= np.linalg.norm(answers, axis=1, keepdims=True)
    clusters = np.repeat(np.arange(CLUSTERS), PER_CLUSTER)

    def rows() -> tuple[Rows, Rows]:
        queries = rng.normal(size=(len(clusters), DIMENSION)).astype(np.float32)
        targets = answers[clusters] + 0.05 * rng.normal(size=(len(clusters), DIMENSION))
        return queries, targets.astype(np.float32)

    (train_queries, train_targets), (queries, targets) = rows(), rows()
    held_out = HeldOut(
        train_queries=train_queries,
        train_targets=train_targets,
        queries=queries,
        targets=targets,
        clusters=clusters,
        answers=AnswerIndex(np.arange(ANSWERS), answers),
        true_answers=[{cluster} for cluster in clusters.tolist()],
    )
    return Planted(held_out, targets)


def verdict_of(held_out: HeldOut, outputs: NDArray[np.floating]) -> Verdict:
    return assess(held_out, outputs, [constant_output(held_out.train_targets)], CHEAPER).verdict


def test_a_sound_student_is_let_through(planted: Planted) -> None:
    verdict = verdict_of(planted.held_out, planted.targets)
    assert (verdict.kind, verdict.rule) == ("distil", "beats all and is cheaper")
    assert "lost on no query" in verdict.reasons[-1]
    assert "repeats" not in verdict.reasons[-1]


@pytest.mark.parametrize("factor", [1000.0, 1e-30, 2.01, 0.49])
def test_outputs_of_other_lengths(planted: Planted, factor: float) -> None:
    verdict = verdict_of(planted.held_out, planted.targets.astype(np.float64) * factor)
    assert (verdict.kind, verdict.rule) == ("keep_lda", "other lengths")
    assert f"{factor:g} times as long" in verdict.sentence.replace(",", "")


@pytest.mark.parametrize("factor", [1.9, 0.6])
def test_lengths_that_are_about_right(planted: Planted, factor: float) -> None:
    assert verdict_of(planted.held_out, planted.targets * factor).kind == "distil"


@pytest.mark.parametrize(
    ("garbage", "kind"), [(9, "keep_lda"), (4, "keep_lda"), (3, "distil"), (1, "distil")]
)
def test_a_few_rows_of_garbage(planted: Planted, garbage: int, kind: str) -> None:
    """Of 300 queries 1 % are 3; with 3 % the agreement still reaches its target."""
    outputs = planted.targets.copy()
    outputs[:: len(outputs) // garbage][:garbage] *= -1
    verdict = verdict_of(planted.held_out, outputs)
    assert verdict.kind == kind
    assert f"lost on {garbage} of 300" in verdict.reasons[-1]
    assert "worst cosine is -1.000" in verdict.reasons[-1]
    if kind == "keep_lda":
        assert verdict.rule == "lost queries"


def test_right_answers_that_are_lost_at_the_first_place(planted: Planted) -> None:
    """The second best answer comes first for every tenth query: the ten best stay the same."""
    index = planted.held_out.answers
    assert index is not None
    outputs = planted.targets.astype(np.float64)
    scores = outputs @ index.directions.T
    for row in range(0, len(outputs), 10):
        first, second = np.argsort(-scores[row])[:2]
        gap = scores[row, first] - scores[row, second]
        difference = index.directions[second] - index.directions[first]
        outputs[row] += 1.02 * gap * difference / (difference @ difference)
    assessment = assess(planted.held_out, outputs, [constant_output(planted.held_out.train_targets)], CHEAPER)
    table = assessment.retrieval
    assert table is not None
    student = table.of("student")
    assert student is not None
    assert student.recall_at_1.value == pytest.approx(0.9)
    assert student.recall_lead is not None
    assert student.recall_lead.value == pytest.approx(-0.1)
    verdict = assessment.verdict
    assert (verdict.kind, verdict.rule) == ("keep_lda", "fewer right answers")
    assert "-0.100" in verdict.sentence


@pytest.mark.parametrize(("repeated", "kind"), [(300, "cannot_tell"), (61, "cannot_tell"), (60, "distil")])
def test_a_lookup_table_of_which_the_test_questions_stand_in_training(
    planted: Planted, repeated: int, kind: str
) -> None:
    train = planted.held_out.train_queries.copy()
    train[:repeated] = planted.held_out.queries[:repeated]
    held_out = HeldOut(
        train_queries=train,
        train_targets=planted.held_out.train_targets,
        queries=planted.held_out.queries,
        targets=planted.targets,
        clusters=planted.held_out.clusters,
        answers=planted.held_out.answers,
        true_answers=planted.held_out.true_answers,
    )
    verdict = verdict_of(held_out, planted.targets)
    assert verdict.kind == kind
    assert f"{repeated} test queries nearly repeat a training query" in verdict.reasons[-1]
    if kind == "cannot_tell":
        assert verdict.rule == "repeated questions"
        assert f"{repeated} of 300 test queries" in verdict.sentence


# By the rules alone


def changed(**changes: object) -> Evidence:
    return msgspec.structs.replace(GOOD, **changes)


@pytest.mark.parametrize(
    ("lead", "kind"),
    [
        (Estimate(-0.044, -0.066, -0.024), "keep_lda"),
        (Estimate(-0.008, -0.0095, -0.006), "distil"),
        (Estimate(-0.02, -0.05, 0.01), "distil"),
        (Estimate(0.05, 0.02, 0.08), "distil"),
    ],
)
def test_a_recall_is_too_low_beyond_chance_and_by_more_than_a_hundredth(lead: Estimate, kind: str) -> None:
    verdict = decide(changed(recall_lead=lead))
    assert verdict.kind == kind
    assert f"paired {lead.value:.3f}" in verdict.reasons[1]


# Rivals that are left out


def test_a_rival_that_is_left_out_is_named_with_the_reason() -> None:
    """Of 200,000 operations of the student 460,000 are 2.3 times."""
    top = rival("top-32 routing", Estimate(-0.001, -0.007, 0.006), NEAR, Cost(900_000, 460_000))
    large = rival("nearest query", Estimate(0.3, 0.2, 0.4), FAR, Cost(1_000_001, 100_000))
    verdict = decide(changed(rivals=(CONSTANT, top, large)))
    assert verdict.kind == "distil"
    assert "beats every simpler" not in verdict.sentence
    assert "no better than top-32 routing (left out: 2.3 times the student's operations)" in verdict.sentence
    line = next(reason for reason in verdict.reasons if reason.startswith("Rivals left out"))
    assert "top-32 routing (2.3 times the student's operations; the student is no better" in line
    assert "nearest query (more parameters than the LDA; beaten)" in line


def test_a_student_that_is_worse_than_a_rival_left_out_hears_that() -> None:
    worse = rival("top-8 routing", Estimate(-0.04, -0.06, -0.02), NEAR, Cost(900_000, 460_000))
    assert "worse than top-8 routing (left out" in decide(changed(rivals=(CONSTANT, worse))).sentence


def test_one_that_beats_also_what_is_left_out_says_so() -> None:
    beaten = rival("top-2 routing", Estimate(0.2, 0.1, 0.3), FAR, Cost(900_000, 460_000))
    sentence = decide(changed(rivals=(CONSTANT, beaten))).sentence
    assert "beats every simpler rival, and those that cost more than it" in sentence
    assert "left out" not in sentence


# Single queries and batches


def measured(single: float, batch: float) -> CostComparison:
    def around(ratio: float) -> Estimate:
        return Estimate(ratio, 0.9 * ratio, 1.1 * ratio)

    costs = GOOD.costs
    return msgspec.structs.replace(costs, measured_ratio=around(single), batch_ratio=around(batch))


def test_the_verdict_says_which_use_it_is_about() -> None:
    slow_in_batches = decide(changed(costs=measured(0.2, 3.0)))
    assert (slow_in_batches.kind, slow_in_batches.use) == ("distil", "single queries")
    assert slow_in_batches.sentence.startswith("Distil for single queries: ")
    assert slow_in_batches.sentence.endswith(
        " In batches of 32 keep the LDA: there the student takes 3 times the time."
    )
    fast_in_batches = decide(changed(costs=measured(3.0, 0.2)))
    assert (fast_in_batches.kind, fast_in_batches.rule) == ("keep_lda", "costs more")
    assert fast_in_batches.sentence.startswith("Keep the LDA for single queries: ")
    assert fast_in_batches.sentence.endswith(" In batches of 32 it takes 0.2 times the LDA's time.")
    alike = decide(changed(costs=measured(0.2, 0.2)))
    assert "batches" not in alike.sentence
    assert "in batches of 32 0.2 (0.18 to 0.22) times" in alike.reasons[2]


def test_without_a_measurement_the_saving_is_counted() -> None:
    verdict = decide(changed(costs=CostComparison(student=Cost(1, 1), teacher=Cost(2, 2))))
    assert (verdict.kind, verdict.use) == ("distil", "")
    assert verdict.sentence.endswith("and is smaller.")


def test_a_little_more_time_is_not_told_as_once_the_time() -> None:
    costs = msgspec.structs.replace(GOOD.costs, measured_ratio=Estimate(1.003, 1.001, 1.004))
    sentence = decide(changed(costs=costs)).sentence
    assert "takes 1.0030 times the time" in sentence
