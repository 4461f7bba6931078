from __future__ import annotations

import msgspec
import pytest

from distill_core.architecture import Cost
from distill_core.evaluation import CostComparison, Estimate, Verdict, decide
from distill_core.evaluation.evidence import Evidence, Rival
from distill_core.evaluation.retrieval import RetrievalTable, chance_levels
from distill_core.evaluation.teacher_findings import Findings, Found, TemperatureCurve, TemperaturePoint
from distill_core.evaluation.verdict import nearness

NEAR = Estimate(0.98, 0.96, 1.0)
UNSURE = Estimate(0.94, 0.90, 0.97)
FAR = Estimate(0.70, 0.60, 0.80)

LDA = Cost(parameters=1_000_000, flops=2_000_000, latency_us=100.0)
CHEAP = Cost(parameters=100_000, flops=200_000, latency_us=20.0)
DEAR = Cost(parameters=2_000_000, flops=4_000_000, latency_us=900.0)


def rival(name: str, difference: Estimate, agreement: Estimate, cost: Cost | None = None) -> Rival:
    return Rival(
        name=name,
        label=name,
        skill=Estimate(0.9 - (difference.value or 0.0)),
        difference=difference,
        agreement=agreement,
        cost=cost or Cost(parameters=50_000, flops=90_000),
    )


CONSTANT = rival("constant", Estimate(0.9, 0.85, 0.94), FAR, Cost(parameters=384, flops=0))
BEATEN_RIDGE = rival("ridge", Estimate(0.1, 0.05, 0.16), FAR)

GOOD = Evidence(
    num_queries=60,
    num_clusters=30,
    broken=0,
    cosine=0.96,
    constant_cosine=0.6,
    skill=Estimate(0.9, 0.85, 0.94),
    rivals=(CONSTANT, BEATEN_RIDGE),
    costs=CostComparison(student=CHEAP, teacher=LDA),
    agreement_at=10,
    chance=0.17,
    agreement=NEAR,
    teacher_recall=0.92,
    student_recall=0.9,
    query_recall=0.85,
)


def verdict_of(**changes: object) -> Verdict:
    return decide(msgspec.structs.replace(GOOD, **changes))


def test_a_student_that_beats_all_and_is_cheaper_is_worth_it() -> None:
    verdict = verdict_of()
    assert (verdict.kind, verdict.rule, verdict.baseline) == ("distil", "beats all and is cheaper", None)
    assert verdict.sentence.startswith("Distil")


@pytest.mark.parametrize(("cancelled", "rule"), [(3, "beats all and is cheaper"), (4, "cancelling teacher")])
def test_a_teacher_whose_answers_cancel_gives_nothing_to_judge_by(cancelled: int, rule: str) -> None:
    """Of 60 queries 5 % are 3."""
    verdict = verdict_of(cancelled=cancelled, constant_is_perfect=False)
    assert verdict.rule == rule
    if rule == "cancelling teacher":
        assert verdict.kind == "cannot_tell"
        assert "cancel for 4 of 60 test queries" in verdict.sentence


def test_a_student_that_beats_all_but_costs_more_is_not() -> None:
    verdict = verdict_of(costs=CostComparison(student=DEAR, teacher=LDA))
    assert (verdict.kind, verdict.rule) == ("keep_lda", "costs more")
    assert "beats every simpler rival, but takes 9 times the time" in verdict.sentence


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Estimate(-0.1, -0.2, -0.05), "and is worse than ridge"),
        (Estimate(-0.0003, -0.001, -0.0001), "and is not shown to be better than ridge"),
        (Estimate(-0.1, -0.2, 0.0), "and is not shown to be better than ridge"),
        (Estimate(0.1, -0.1, 0.2), "and is not shown to be better than ridge"),
    ],
)
def test_a_dear_student_that_does_not_beat_ridge_hears_it(difference: Estimate, words: str) -> None:
    ridge = rival("ridge", difference, FAR)
    verdict = verdict_of(costs=CostComparison(student=DEAR, teacher=LDA), rivals=(CONSTANT, ridge))
    assert (verdict.kind, verdict.rule) == ("keep_lda", "costs more")
    assert words in verdict.sentence


@pytest.mark.parametrize("difference", [Estimate(-0.05, -0.1, -0.01), Estimate(0.02, -0.01, 0.05)])
def test_a_ridge_that_is_not_beaten_and_retrieves_as_well_is_enough(difference: Estimate) -> None:
    verdict = verdict_of(rivals=(CONSTANT, rival("ridge", difference, NEAR)))
    assert (verdict.kind, verdict.rule, verdict.baseline) == ("use_simpler", "simpler is as good", "ridge")
    assert "ridge does it" in verdict.sentence


def test_of_several_the_best_is_named() -> None:
    ridge = rival("ridge", Estimate(-0.01, -0.02, 0.01), NEAR)
    merged = rival("merged_9", Estimate(-0.05, -0.08, -0.02), NEAR)
    assert verdict_of(rivals=(CONSTANT, ridge, merged)).baseline == "merged_9"


def test_a_rival_that_costs_more_than_the_student_is_no_argument() -> None:
    dear = rival("nearest_query", Estimate(-0.05, -0.1, -0.01), NEAR, Cost(parameters=1, flops=200_001))
    assert verdict_of(rivals=(CONSTANT, BEATEN_RIDGE, dear)).kind == "distil"


def test_a_rival_that_costs_more_than_the_lda_replaces_nothing() -> None:
    large = rival("ridge", Estimate(-0.05, -0.1, -0.01), NEAR, Cost(parameters=1_000_001, flops=1))
    assert verdict_of(rivals=(CONSTANT, large)).kind == "distil"


def test_an_unbeaten_rival_that_does_not_retrieve_leaves_doubt() -> None:
    verdict = verdict_of(rivals=(CONSTANT, rival("ridge", Estimate(0.02, -0.01, 0.05), FAR)))
    assert (verdict.kind, verdict.rule) == ("cannot_tell", "too close to call")
    assert "better than ridge" in verdict.sentence


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        (Estimate(0.0, 0.0, 0.0), "no better than a constant"),
        (Estimate(0.01, -0.05, 0.07), "no better than a constant"),
        (Estimate(-3.0, -4.0, -2.0), "worse than a constant"),
    ],
)
def test_a_student_like_a_constant(skill: Estimate, words: str) -> None:
    for costs in (CostComparison(student=CHEAP, teacher=LDA), CostComparison(student=DEAR, teacher=LDA)):
        verdict = verdict_of(skill=skill, costs=costs)
        assert (verdict.kind, verdict.rule) == ("keep_lda", "no better than a constant")
        assert words in verdict.sentence


def test_a_nearly_constant_teacher_needs_no_student() -> None:
    constant = rival("constant", Estimate(0.1, 0.05, 0.2), NEAR, Cost(parameters=384, flops=0))
    verdict = verdict_of(rivals=(constant, BEATEN_RIDGE))
    assert (verdict.kind, verdict.rule, verdict.baseline) == ("use_simpler", "constant teacher", "constant")
    assert "nearly constant" in verdict.sentence
    assert "temperature" in verdict.would_change
    one_direction = verdict_of(constant_is_perfect=True, skill=Estimate(None))
    assert (one_direction.kind, one_direction.rule) == ("use_simpler", "constant teacher")


@pytest.mark.parametrize(
    "changes", [{"num_clusters": 4}, {"num_clusters": 1, "skill": Estimate(0.9)}, {"num_clusters": 1}]
)
def test_too_little_data_to_tell(changes: dict[str, object]) -> None:
    verdict = verdict_of(**changes)
    assert (verdict.kind, verdict.rule) == ("cannot_tell", "too little data")
    dear = verdict_of(costs=CostComparison(student=DEAR, teacher=LDA), **changes)
    assert (dear.kind, dear.rule) == ("keep_lda", "costs more"), "no further query can change that"
    assert "beats" not in dear.sentence


def test_an_interval_on_both_sides_of_the_target_is_doubt() -> None:
    verdict = verdict_of(agreement=UNSURE)
    assert (verdict.kind, verdict.rule) == ("cannot_tell", "too close to call")
    assert "95%" in verdict.sentence


def test_a_student_that_does_not_retrieve_is_not_near_enough() -> None:
    verdict = verdict_of(agreement=FAR)
    assert (verdict.kind, verdict.rule) == ("keep_lda", "not near enough")


@pytest.mark.parametrize(
    "changes", [{"agreement_at": None, "agreement": None}, {"rivals": ()}, {"agreement": Estimate(1.0)}]
)
def test_what_was_not_measured_is_not_guessed(changes: dict[str, object]) -> None:
    assert verdict_of(**changes).kind == "cannot_tell"


def test_a_student_that_does_not_compute() -> None:
    for skill in (Estimate(None), GOOD.skill):
        verdict = verdict_of(broken=2, cosine=None, skill=skill)
        assert (verdict.kind, verdict.rule) == ("keep_lda", "broken student")
        assert "not a number for 2 of 60" in verdict.sentence
        assert "nan" not in " ".join(verdict.reasons).lower()


def test_no_rule_looks_at_a_cosine() -> None:
    """The same skill at cosines of 0.2 and 0.9999 is the same verdict."""
    kinds = {verdict_of(cosine=cosine, constant_cosine=0.1).kind for cosine in (0.2, 0.9, 0.9999)}
    assert kinds == {"distil"}
    assert (
        verdict_of(cosine=0.9999, constant_cosine=0.99995, skill=Estimate(-1.0, -2.0, -0.5)).kind
        == "keep_lda"
    )


def test_the_reasons_say_the_numbers() -> None:
    skill, retrieval, cost = verdict_of().reasons
    assert "0.900 (0.850 to 0.940) on 60 queries of 30 clusters" in skill
    assert "0.9600" in skill
    assert "0.6000" in skill
    assert "ridge 0.100 (0.050 to 0.160)" in skill
    assert "best 10 answers: 0.980 (0.960 to 1.000), by chance 0.17" in retrieval
    assert "Recall@1 0.900, the LDA's 0.920, without any projection 0.850" in retrieval
    assert "0.2 times the LDA's time, 20 µs against 100 µs" in cost
    assert "100,000 parameters against the LDA's 1,000,000" in cost


def test_measured_time_decides_over_size() -> None:
    """Small and slow is dear; an interval that holds 1 is no difference."""
    small_but_slow = Cost(parameters=10, flops=10, latency_us=150.0)
    assert CostComparison(student=small_but_slow, teacher=LDA).order == "dearer"
    measured = CostComparison(student=CHEAP, teacher=LDA, measured_ratio=Estimate(0.9, 0.7, 1.1))
    assert measured.order == "similar"
    assert verdict_of(costs=measured).rule == "costs more"
    assert "does not cost less" in verdict_of(costs=measured).sentence
    surely = CostComparison(student=DEAR, teacher=LDA, measured_ratio=Estimate(0.5, 0.4, 0.6))
    assert surely.order == "cheaper"


def test_without_times_both_sizes_must_be_smaller() -> None:
    def order(parameters: int, flops: int) -> str:
        student = Cost(parameters=parameters, flops=flops)
        return CostComparison(student=student, teacher=Cost(parameters=10, flops=10)).order

    assert [order(9, 9), order(9, 10), order(10, 10), order(9, 11), order(11, 10)] == [
        *("cheaper", "cheaper", "similar", "similar", "dearer")
    ]


@pytest.mark.parametrize(
    ("agreement", "near"),
    [
        *((NEAR, "yes"), (FAR, "no"), (UNSURE, "unsure"), (Estimate(0.96, 0.94, 0.98), "unsure")),
        (Estimate(1.0), "unsure"),
        (None, "unsure"),
    ],
)
def test_nearness(agreement: Estimate | None, near: str) -> None:
    assert nearness(agreement) == near


@pytest.mark.parametrize(("num_answers", "k"), [(60, 10), (20, 10), (19, 5), (9, 1), (2, 1), (1, None)])
def test_the_k_that_tells_anything(num_answers: int, k: int | None) -> None:
    table = RetrievalTable(
        num_answers=num_answers, num_judged=1, chance=chance_levels(num_answers), scores=()
    )
    assert table.telling_k == k


LEVEL = Estimate(0.0, 0.0, 0.0)


def teacher(difference: Estimate, behind: Estimate = LEVEL, best: float = 0.944) -> Findings:
    """A teacher at tau 1 whose MRR is 0.263, where the bare query's is 0.906."""
    lda, query = (
        Found(recall_at_1=found, recall_at_10=found, mrr=found)
        for found in (Estimate(0.263, 0.135, 0.405), Estimate(0.906, 0.865, 0.937))
    )
    points = tuple(
        TemperaturePoint(
            temperature=tau, effective_heads=2.0, constant_cosine=0.5, mrr=Estimate(mrr), left_out_mrr=None
        )
        for tau, mrr in ((0.05, best), (1.0, 0.263))
    )
    return Findings(
        temperature=1.0,
        num_judged=240,
        num_clusters=30,
        lda=lda,
        query=query,
        nearest=query,
        difference=difference,
        finds_less=difference.high is not None and difference.high < 0,
        left_out=None,
        left_out_gap="",
        behind=behind,
        curve=TemperatureCurve(num_judged=240, points=points, best=0.05),
    )


LESS, AS_MUCH = Estimate(-0.643, -0.772, -0.489), Estimate(-0.02, -0.06, 0.02)


@pytest.mark.parametrize(
    "changes", [{}, {"constant_is_perfect": True}, {"skill": Estimate(-0.1, -0.2, -0.05)}]
)
def test_a_student_of_a_teacher_that_finds_less_than_none_is_the_wrong_question(
    changes: dict[str, object],
) -> None:
    verdict = verdict_of(teacher=teacher(LESS), **changes)
    assert (verdict.kind, verdict.rule, verdict.baseline) == ("use_simpler", "finds less than none", "query")
    assert "finds less than no projection at all" in verdict.sentence
    assert "0.263" in verdict.sentence
    assert "0.906" in verdict.sentence
    assert "temperature 0.05" in verdict.would_change


def test_where_no_temperature_helps_the_verdict_names_none() -> None:
    verdict = verdict_of(teacher=teacher(LESS, best=0.7))
    assert "No temperature from 0.05 to 1 mends that" in verdict.would_change


def test_a_teacher_that_may_find_as_much_is_distilled() -> None:
    assert verdict_of(teacher=teacher(AS_MUCH)).kind == "distil"


@pytest.mark.parametrize(
    ("behind", "told"), [(Estimate(-0.1, -0.2, -0.02), True), (Estimate(-0.1, -0.2, -0.009), False)]
)
def test_a_temperature_at_which_the_lda_finds_more_is_named(behind: Estimate, *, told: bool) -> None:
    verdict = verdict_of(teacher=teacher(AS_MUCH, behind))
    assert verdict.kind == "distil"
    assert ("first take temperature 0.05" in verdict.sentence) is told
    assert ("At temperature 0.05 the LDA itself finds more" in verdict.reasons[-1]) is told
