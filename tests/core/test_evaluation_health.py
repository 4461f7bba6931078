from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from distill_core.database import Answer, Question
from distill_core.evaluation import (
    AnswerIndex,
    HealthProbe,
    held_out,
    query_clusters,
    teacher_sample,
    true_answers,
)
from distill_core.evaluation.health import known_health
from distill_core.teacher import MultiHeadLDA, effective_heads
from tests.core.labelled import labelled

RNG = np.random.default_rng(11)
QUERIES = RNG.normal(size=(25, 5)).astype(np.float32)
ANSWERS = AnswerIndex(np.arange(1, 13), RNG.normal(size=(12, 5)))
TRUTHS = [{1 + row % 12} for row in range(25)]
TEACHER = MultiHeadLDA(RNG.normal(size=(6, 5)), RNG.normal(size=(6, 5)), 0.4)


def routed(tau: float) -> tuple[list[list[float]], list[list[float]]]:
    """Weights and outputs, head by head."""
    weights, outputs = [], []
    for query in QUERIES.astype(np.float64):
        scores = [
            float(query @ head) / math.sqrt(float(query @ query) * float(head @ head)) / tau
            for head in TEACHER.centroids.astype(np.float64)
        ]
        shares = [math.exp(score - max(scores)) for score in scores]
        weights.append([share / sum(shares) for share in shares])
        outputs.append(
            [
                sum(w * float(a[i]) for w, a in zip(weights[-1], TEACHER.answers, strict=True))
                for i in range(5)
            ]
        )
    return weights, outputs


def rank_of(output: list[float], truth: set[int]) -> int:
    def score(place: int) -> float:
        return math.fsum(a * b for a, b in zip(output, ANSWERS.directions[place].tolist(), strict=True))

    order = sorted(range(12), key=lambda place: -score(place))
    return 1 + min(order.index(number - 1) for number in truth)


@pytest.mark.parametrize("tau", [0.05, 0.4, 5.0])
def test_health_equals_a_loop(tau: float) -> None:
    weights, outputs = routed(tau)
    health = HealthProbe(labelled(TEACHER, QUERIES, ANSWERS, TRUTHS)).at(tau)
    heads = [math.exp(-sum(w * math.log(w) for w in row if w > 0)) for row in weights]
    assert health.effective_heads.median == pytest.approx(sorted(heads)[12], rel=1e-4)
    assert health.effective_heads.p5 == pytest.approx(np.percentile(heads, 5), rel=1e-4)
    assert health.effective_heads.p95 == pytest.approx(np.percentile(heads, 95), rel=1e-4)
    mean = [sum(row[i] for row in outputs) / 25 for i in range(5)]
    spread = sum((row[i] - mean[i]) ** 2 for row in outputs for i in range(5)) / (25 * 5)
    assert health.output_variance == pytest.approx(spread, rel=1e-4)
    cosines = [
        sum(a * b for a, b in zip(row, mean, strict=True)) / math.hypot(*row) / math.hypot(*mean)
        for row in outputs
    ]
    assert health.constant_cosine == pytest.approx(sum(cosines) / 25, rel=1e-4)
    ranks = [rank_of(output, truth) for output, truth in zip(outputs, TRUTHS, strict=True)]
    assert health.recall_at_1 == pytest.approx(sum(rank == 1 for rank in ranks) / 25)
    assert health.mrr == pytest.approx(sum(1 / rank for rank in ranks) / 25)
    assert (health.temperature, health.num_heads, health.num_queries) == (tau, 6, 25)


def test_the_default_temperature_is_the_teachers() -> None:
    probe = HealthProbe(labelled(TEACHER, QUERIES))
    assert probe.at() == probe.at(0.4)
    assert probe.at().recall_at_1 is None


def test_what_was_found_is_known_the_next_time() -> None:
    probe = HealthProbe(labelled(TEACHER, QUERIES, ANSWERS, TRUTHS))
    asked: list[float] = []

    def counted() -> HealthProbe:
        asked.append(1)
        return probe

    first, again = (known_health(counted, "one teacher", 0.4, None) for _ in range(2))
    assert first == again == probe.at(0.4)
    assert len(asked) == 1
    assert known_health(counted, "another", 0.4, None) == first
    assert len(asked) == 2


def test_a_note_of_another_version_is_found_anew(tmp_path: Path) -> None:
    probe = HealthProbe(labelled(TEACHER, QUERIES, ANSWERS, TRUTHS))
    found = known_health(lambda: probe, "one teacher", 0.4, None)
    (note,) = (tmp_path / "vector-cache").glob("*.note")
    note.write_bytes(b'{"temperature": "another kind"}')
    assert known_health(lambda: probe, "one teacher", 0.4, None) == found


def test_heads_that_no_query_prefers() -> None:
    teacher = MultiHeadLDA(np.eye(4), np.eye(4), 1.0)
    queries = [[1.0, 0.1, 0.0, 0.0], [0.0, 0.0, 0.2, 1.0], [0.9, 0.0, 0.3, 0.2]]
    assert HealthProbe(labelled(teacher, queries)).at().unused_heads == (1, 2)


def test_near_duplicates_are_pairs_of_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.array([[1, 0, 0], [0, 1, 0], [5, 0.2, 0], [0, 0, 1], [0, 2, 0.1], [1, 0.3, 0]], np.float32)
    pairs = [[0, 2], [1, 4]]
    assert (
        HealthProbe(labelled(MultiHeadLDA(np.eye(3), np.eye(3), 1.0), rows)).near_duplicates.tolist() == pairs
    )
    monkeypatch.setattr("distill_core.arrays.MAX_SCORES", 7)
    assert held_out.near_duplicate_pairs(rows).tolist() == pairs
    assert held_out.seen_in_training(rows[3:], rows[:3]).tolist() == [False, True, False]


def test_a_blend_of_all_heads_is_called_nearly_constant() -> None:
    teacher = MultiHeadLDA(TEACHER.centroids, TEACHER.answers, 100.0)
    (warning,) = HealthProbe(labelled(teacher, QUERIES)).at().warnings
    assert "nearly constant" in warning
    assert HealthProbe(labelled(teacher, QUERIES)).at(0.05).warnings == ()


def test_a_teacher_that_is_wrong_is_told() -> None:
    wrong = [{1 + (row + 6) % 12} for row in range(12)]
    queries = ANSWERS.directions
    teacher = MultiHeadLDA(queries, queries, 0.01)
    probe = HealthProbe(labelled(teacher, queries, ANSWERS, wrong))
    assert any("puts a true answer first for 0%" in warning for warning in probe.at().warnings)
    right = HealthProbe(labelled(teacher, queries, ANSWERS, [{1 + row} for row in range(12)]))
    assert right.at().warnings == ()


@pytest.mark.parametrize(
    ("queries", "clusters", "warned"), [(19, 9, True), (20, 5, False), (200, 4, True), (None, None, False)]
)
def test_a_small_test_part_is_told(queries: int | None, clusters: int | None, *, warned: bool) -> None:
    probe = HealthProbe(labelled(TEACHER, QUERIES))
    warnings = probe.at(0.05, test_queries=queries, test_clusters=clusters).warnings
    assert any("too small" in warning for warning in warnings) == warned


def test_clusters_and_true_answers_of_questions() -> None:
    questions = {
        1: Question(id=1, text="", length_type="", cluster_ids=(7,)),
        2: Question(id=2, text="", length_type="", cluster_ids=(9, 7)),
        3: Question(id=3, text="", length_type="", cluster_ids=()),
    }
    answers = {
        10: Answer(id=10, text="", cluster_ids=(7,)),
        11: Answer(id=11, text="", cluster_ids=(7, 9)),
        12: Answer(id=12, text="", cluster_ids=()),
        13: Answer(id=13, text="", cluster_ids=(9,)),
    }
    asked = [2, 1, 3, 99]
    labels = query_clusters(asked, questions).tolist()
    assert labels[:2] == [7, 7]
    assert len(set(labels[2:])) == 2
    assert max(labels[2:]) < 0
    expected = [[10, 11, 13], [10, 11], [], []]
    assert [sorted(ids) for ids in true_answers(asked, questions, answers)] == expected


def figures(record: object, name: str = "") -> dict[str, object]:
    """Everything in nested records, by its path."""
    if isinstance(record, dict):
        parts = record.items()
    elif isinstance(record, list | tuple):
        parts = dict(enumerate(record)).items()
    else:
        return {name: record}
    return {path: value for key, part in parts for path, value in figures(part, f"{name}.{key}").items()}


@pytest.mark.parametrize(("kept", "at_once"), [(0, 1 << 22), (1 << 25, 24), (0, 1), (100, 60)])
def test_many_heads_are_looked_at_in_parts_with_the_same_outcome(
    monkeypatch: pytest.MonkeyPatch, kept: int, at_once: int
) -> None:
    whole = HealthProbe(labelled(TEACHER, QUERIES, ANSWERS, TRUTHS))
    seen: list[int] = []

    def spied(weights: np.ndarray) -> np.ndarray:
        seen.append(weights.size)
        return effective_heads(weights)

    monkeypatch.setattr(teacher_sample, "effective_heads", spied)
    monkeypatch.setattr(teacher_sample, "_MAX_KEPT", kept)
    monkeypatch.setattr(teacher_sample, "_MAX_AT_ONCE", at_once)
    parts = HealthProbe(labelled(TEACHER, QUERIES, ANSWERS, TRUTHS))
    for tau in (0.05, 0.4, 5.0):
        expected, found = (figures(msgspec.to_builtins(probe.at(tau))) for probe in (whole, parts))
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-9), name
    assert parts.unused_heads == whole.unused_heads
    assert min(seen) <= max(at_once, 6)
