"""Planted teachers: one worse than none, one at its best, one flattered by its own questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distill_core.arrays import Values
from distill_core.database import LdaDatabase
from distill_core.evaluation import AnswerIndex, HealthProbe, teacher_sample
from distill_core.evaluation.own_questions import own_questions
from distill_core.evaluation.teacher_findings import Findings
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, read_questions
from tests.core.labelled import labelled

HEADS, EACH, DIMENSION = 12, 6, 24


def planted(
    temperature: float, *, spread: float = 0.5, answers_follow: bool = True, seed: int = 0
) -> LabelledQuestions:
    """Questions in clusters, centroids that are their means, an answer for each cluster.

    Args:
        temperature: tau.
        spread: Of the questions about the centres of their clusters, which have length 1.
        answers_follow: Whether an answer lies near its questions, so that the bare query finds it.
        seed: Of everything.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(HEADS, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    heads = np.repeat(np.arange(HEADS), EACH)
    noise = rng.normal(size=(len(heads), DIMENSION)) * spread / DIMENSION**0.5
    questions = (centres[heads] if spread < 10 else 0.0) + noise
    answers = centres if answers_follow else rng.normal(size=centres.shape)
    centroids = np.stack([questions[heads == head].mean(axis=0) for head in range(HEADS)])
    return labelled(
        MultiHeadLDA(centroids, answers, temperature),
        questions,
        AnswerIndex(np.arange(HEADS), answers),
        [{head} for head in heads.tolist()],
        heads.tolist(),
    )


def findings_of(questions: LabelledQuestions, tau: float | None = None) -> Findings:
    findings = HealthProbe(questions).at(tau).findings
    assert findings is not None
    return findings


def test_a_teacher_that_is_worse_than_the_bare_query_is_told_first() -> None:
    probe = HealthProbe(planted(5.0))
    health = probe.at()
    assert health.findings is not None
    assert health.findings.finds_less
    assert health.findings.difference.high is not None
    assert health.findings.difference.high < 0
    assert "finds less than no projection" in health.warnings[0]
    assert f"most at temperature {health.findings.curve.best:g}" in health.warnings[0]
    assert not any("finds less" in words for words in (*probe.at(0.05).warnings, *probe.at(0.05).notes))


def test_where_no_temperature_helps_the_warning_says_so() -> None:
    """Every head has the answer of its neighbour."""
    good = planted(0.1)
    teacher = MultiHeadLDA(good.teacher.centroids, np.roll(good.teacher.answers, 1, axis=0), 0.1)
    heads = [heads[0] for heads in good.heads_of]
    wrong = labelled(teacher, good.queries, good.answers, good.true_answers, heads)
    assert "No temperature from 0.01 to 1 mends that" in HealthProbe(wrong).at().warnings[0]


def test_at_its_best_temperature_nothing_is_behind() -> None:
    probe = HealthProbe(planted(0.1, spread=1.5))
    curve = findings_of(planted(0.1, spread=1.5)).curve
    found = [point.held_out_mrr.value for point in curve.points]
    assert curve.best_point.held_out_mrr.value == pytest.approx(max(value for value in found if value))
    best = probe.at(curve.best)
    assert best.findings is not None
    assert best.findings.behind.value == 0.0
    assert not best.findings.finds_less
    worse = probe.at(5.0).findings
    assert worse is not None
    assert worse.behind.high is not None
    assert worse.behind.high < 0


def test_a_teacher_that_is_flattered_by_its_own_questions_is_told() -> None:
    """Questions and answers are noise: a question finds its head by its own share in the centroid alone."""
    questions = planted(0.03, spread=100.0, answers_follow=False)
    findings, health = findings_of(questions), HealthProbe(questions).at()
    assert findings.left_out is not None
    assert findings.lda.recall_at_1.value is not None
    assert findings.left_out.lda.recall_at_1.value is not None
    assert findings.lda.recall_at_1.value > 0.5
    assert findings.left_out.lda.recall_at_1.value < 0.2
    assert findings.lead_is_its_own
    assert "to its own questions" in health.notes[0]
    assert not health.warnings


def test_a_teacher_that_routes_new_questions_as_well_is_not_called_flattered() -> None:
    questions = planted(0.05, answers_follow=False)
    assert not findings_of(questions).lead_is_its_own
    assert HealthProbe(questions).at().notes == ()


def reference_centroid(questions: Values) -> tuple[Values, Values]:
    """The published rule, question by question."""
    centre, weights = questions.mean(axis=0), np.zeros(len(questions))
    for _ in range(2):
        centre = centre / np.linalg.norm(centre)
        powers = np.array([np.exp(question @ centre) for question in questions])
        weights = powers / powers.sum()
        centre = np.einsum("i,ij->j", weights, questions)
    return centre, weights


@pytest.mark.parametrize("rule", ["published", "mean", "directions"])
def test_a_share_is_taken_out_of_the_centroid_however_it_was_made(rule: str) -> None:
    rng = np.random.default_rng(3)
    questions = rng.normal(size=(9, 5)) + 1.0
    members = [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
    parts = []
    for rows in members:
        if rule == "published":
            parts.append(reference_centroid(questions[rows])[1])
        elif rule == "mean":
            parts.append(np.ones(len(rows)))
        else:
            parts.append(1.0 / np.linalg.norm(questions[rows], axis=1))
    centroids = np.stack([weights @ questions[rows] for weights, rows in zip(parts, members, strict=True)])
    teacher = MultiHeadLDA(3.0 * centroids, centroids, 0.1)
    heads_of = [(0,)] * 4 + [(1,)] * 5
    own = own_questions(teacher, questions.astype(np.float32), heads_of, np.array([1, 6, 8]))
    assert own.known.all()
    assert (own.rows.tolist(), own.heads.tolist()) == ([0, 1, 2], [0, 1, 1])
    for row, head, cosine in zip((1, 6, 8), (0, 1, 1), own.cosines.tolist(), strict=True):
        rest = centroids[head] - parts[head][members[head].index(row)] * questions[row]
        expected = questions[row] @ rest / np.linalg.norm(questions[row]) / np.linalg.norm(rest)
        assert cosine == pytest.approx(expected, abs=1e-6)


def test_where_a_share_is_not_known_that_is_said() -> None:
    rng = np.random.default_rng(4)
    questions = rng.normal(size=(5, 6)).astype(np.float32)
    centroids = np.stack([questions[0], rng.normal(size=6), questions[3:].mean(axis=0)])
    own = own_questions(
        MultiHeadLDA(centroids, centroids, 0.1), questions, [(0,), (1,), (1,), (2,), (2,)], np.arange(5)
    )
    assert own.known.tolist() == [False, False, False, True, True]
    assert own.gap == "1 head had one question alone and 1 centroid cannot be made again from the questions"
    unknown = own_questions(MultiHeadLDA(centroids, centroids, 0.1), questions, (), np.arange(5))
    assert not unknown.known.any()
    assert "not known" in unknown.gap


@pytest.mark.parametrize(
    ("name", "mh_id", "shown", "left_out", "query"),
    [("n18", 1, 0.958, 0.889, 0.910), ("n30", 1, 0.921, 0.767, 0.854)],
)
def test_figures_of_the_reference_databases(
    reference_db: Path, name: str, mh_id: int, shown: float, left_out: float, query: float
) -> None:
    """As an independent computation found them, from the published tools' weights."""
    with LdaDatabase(reference_db / name / "lda.db") as database:
        findings = findings_of(read_questions(database, mh_id))
    assert findings.left_out is not None
    assert findings.left_out_gap == ""
    found = (findings.lda, findings.left_out.lda, findings.query)
    assert [figures.recall_at_1.value for figures in found] == pytest.approx(
        [shown, left_out, query], abs=5e-4
    )


def test_of_many_queries_a_sample_is_looked_at_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    questions = planted(0.1, spread=1.5)
    monkeypatch.setattr(teacher_sample, "_FEWEST", 40)
    monkeypatch.setattr(teacher_sample, "_MAX_SCORES", 1)
    health = HealthProbe(questions).at()
    assert (health.num_queries, health.num_looked_at) == (HEADS * EACH, 40)
    assert health.findings is not None
    assert health.findings.num_judged == 40
