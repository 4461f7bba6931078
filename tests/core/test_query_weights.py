"""How often each question is asked: a weight of w counts like w questions that are the same."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from distill_core.arrays import as_often
from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.database import LdaDatabase, open_database
from distill_core.devices import OwnRandomState
from distill_core.errors import DatabaseError
from distill_core.evaluation import AnswerIndex, ClusterBootstrap, Estimate, HealthProbe, LadderData, ladder
from distill_core.evaluation.health import known_health
from distill_core.evaluation.metrics import evaluate
from distill_core.evaluation.ridge import fit_ridge
from distill_core.runs.comparing import PairedQuery, paired_difference
from distill_core.students import EncoderConfig, RoutedConfig
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import load_teacher_data, read_questions
from distill_core.training import Assessed, RunFinished, TestEvaluated, TrainingSession
from distill_core.training.loop.batches import LabelledQueries, QuerySampler, StoredBatches
from distill_core.training.loop.routed import RoutedTraining
from distill_core.training.recipes import resolve
from tests.core.database_factory import write_lda_db, write_vector_folder
from tests.core.labelled import labelled

RNG = np.random.default_rng(8)
NUM = 60
WEIGHTS = RNG.integers(1, 6, NUM)
CLUSTERS = np.arange(NUM) // 4
REPEATED = np.repeat(np.arange(NUM), WEIGHTS)
CPU = torch.device("cpu")


def give_weights(folder: Path, weights: dict[int, object]) -> Path:
    """Say in a folder's `queries.jsonl` how often some of the questions are asked."""
    file = folder / "queries.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for row, weight in weights.items():
        lines[row]["weight"] = weight
    file.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return folder


def weights_read(path: Path) -> list[float] | None:
    with open_database(path) as database:
        weights = read_questions(database, 1).weights
    return None if weights is None else weights.tolist()


# Where they come from.


def test_a_folder_tells_them_line_by_line(tmp_path: Path) -> None:
    folder = write_vector_folder(tmp_path)
    assert weights_read(folder) is None
    give_weights(folder, {2: 40, 5: 0.5})
    expected = [1.0] * 24
    expected[2], expected[5] = 40.0, 0.5
    assert weights_read(folder) == expected


@pytest.mark.parametrize("weight", ["0", "-3", "1e400"])
def test_a_weight_that_is_no_positive_number_is_refused(tmp_path: Path, weight: str) -> None:
    folder = give_weights(write_vector_folder(tmp_path), {1: 2})
    file = folder / "queries.jsonl"
    file.write_text(
        file.read_text("utf-8").replace('"weight": 2', f'"weight": {weight}'.replace("inf", "1e400"))
    )
    with pytest.raises(DatabaseError, match=r"ine 2 of .*queries.jsonl") as raised:
        weights_read(folder)
    assert raised.value.hint
    with open_database(folder) as database:
        assert any(problem.severity == "error" for problem in database.problems())


def log(database: Path, texts: Sequence[str | None]) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE query_log (log_id INTEGER PRIMARY KEY, query_text TEXT)")
        connection.executemany("INSERT INTO query_log (query_text) VALUES (?)", [(text,) for text in texts])
    connection.close()


def test_a_log_of_searches_tells_how_often_each_text_was_asked(tmp_path: Path) -> None:
    path = write_lda_db(tmp_path, path_style="beside")
    assert weights_read(path) is None
    with LdaDatabase(path) as database:
        ids = database.queries(1)[0].tolist()
        texts = [database.questions()[number].text for number in ids]
    log(path, [*[texts[3]] * 6, texts[0], None, "something else"])
    expected = [1.0] * len(ids)
    expected[3], expected[0] = 7.0, 2.0
    assert weights_read(path) == expected


def test_a_log_of_other_texts_tells_nothing(tmp_path: Path) -> None:
    path = write_lda_db(tmp_path, path_style="beside")
    log(path, ["something else"])
    assert weights_read(path) is None


# What they do: the same as questions that stand there so often.


def test_estimates_are_those_of_repeated_queries() -> None:
    losses, scales = RNG.random(NUM), 1 + RNG.random(NUM)
    once = ClusterBootstrap(CLUSTERS, weights=WEIGHTS)
    often = ClusterBootstrap(CLUSTERS[REPEATED])
    assert once.effective_clusters == pytest.approx(often.effective_clusters)
    assert once.mean(losses) == pytest.approx(losses[REPEATED].mean())
    for ask in ("ratio", "loss"):
        pairs = zip(
            *(
                _ends(getattr(bootstrap, ask)(losses[rows], scales[rows]))
                for bootstrap, rows in ((once, np.arange(NUM)), (often, REPEATED))
            ),
            strict=True,
        )
        assert all(mine == pytest.approx(theirs) for mine, theirs in pairs)


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    assert estimate.value is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.value, estimate.low, estimate.high


def test_a_share_is_no_surer_for_being_weighted() -> None:
    """One question that is asked a thousand times is one trial, not a thousand."""
    hits = (RNG.random(NUM) < 0.7).astype(float)
    weights = np.ones(NUM)
    weights[0] = 1000.0
    value, low, high = _ends(ClusterBootstrap(np.arange(NUM), weights=weights).share(hits))
    assert value == pytest.approx(np.average(hits, weights=weights))
    assert high - low > 0.9


def test_scores_are_those_of_repeated_queries() -> None:
    targets, predicted = RNG.normal(size=(2, NUM, 7))
    constant = targets.mean(axis=0)
    mine = evaluate(predicted, targets, constant, WEIGHTS.astype(float))
    often = evaluate(predicted[REPEATED], targets[REPEATED], constant)
    for name in ("mse", "relative_norm", "r2", "skill"):
        assert getattr(mine, name) == pytest.approx(getattr(often, name))
    assert (mine.cosine.mean, mine.cosine.sd) == pytest.approx((often.cosine.mean, often.cosine.sd))
    assert mine.cosine.min == often.cosine.min
    assert mine.cosine.p5 == pytest.approx(often.cosine.p5, abs=0.05)


def test_the_ridge_is_that_of_repeated_queries() -> None:
    queries, targets, watched, labels = RNG.normal(size=(4, NUM, 5)).astype(np.float32)
    mine = fit_ridge(queries, targets, watched, labels, WEIGHTS.astype(float))
    often = fit_ridge(queries[REPEATED], targets[REPEATED], watched, labels)
    scale = WEIGHTS.mean()  # the strength is in units of the mean eigenvalue, which repetition multiplies
    assert mine.strength == pytest.approx(often.strength)
    np.testing.assert_allclose(mine.matrix, often.matrix, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mine.intercept, often.intercept, rtol=1e-4, atol=1e-6)
    assert scale > 1


def test_the_ladder_learns_from_what_is_asked_often() -> None:
    """Heads above 64, so that every rung is there; one topic is asked a hundred times as often."""
    heads, answers = RNG.normal(size=(2, 90, 12)).astype(np.float32)
    teacher = MultiHeadLDA(heads, answers, 0.3)
    train, watched = (
        (heads[RNG.integers(0, 90, n)] + 0.3 * RNG.normal(size=(n, 12))).astype(np.float32) for n in (400, 80)
    )
    mine = train @ heads[0] > 0.5 * np.linalg.norm(heads[0]) * np.linalg.norm(train, axis=1)
    asked = train[mine]
    parts = LadderData(teacher, train, teacher.project(train), watched, teacher.project(watched))
    weighted = replace(parts, train_weights=np.where(mine, 100.0, 1.0))

    def errors(data: LadderData) -> dict[str, float]:
        truth = teacher.project(asked)
        return {rung.name: float(np.square(rung.predict(asked) - truth).mean()) for rung in ladder(data)}

    before, after = errors(parts), errors(weighted)
    assert before.keys() == after.keys()
    for name in ("constant", "ridge", "top_64_constant", "top_64_ridge"):
        assert after[name] < before[name], name
    for name in ("nearest_centroid", "top_8", "int8"):  # nothing is fitted there
        assert after[name] == before[name]


def test_paired_differences_are_those_of_repeated_queries() -> None:
    differences = RNG.normal(size=NUM).tolist()
    rows = list(zip(differences, CLUSTERS.tolist(), WEIGHTS.tolist(), strict=True))
    mine = paired_difference([PairedQuery(*row) for row in rows])
    often = paired_difference([PairedQuery(*rows[row][:2]) for row in REPEATED.tolist()])
    assert mine is not None
    assert often is not None
    assert mine.mean == pytest.approx(often.mean)
    assert (mine.low, mine.high) == pytest.approx((often.low, often.high))
    assert mine.num_queries == NUM


# What is drawn.


def test_rows_as_often_as_their_weights_have_it() -> None:
    np.testing.assert_array_equal(as_often(WEIGHTS.astype(float), int(WEIGHTS.sum())), REPEATED)
    half = np.bincount(as_often(WEIGHTS.astype(float), int(WEIGHTS.sum()) // 2), minlength=NUM)
    assert np.abs(half - WEIGHTS / 2).max() <= 1


def test_new_queries_are_drawn_around_what_is_asked_often() -> None:
    """The lengths of what is drawn are those of training queries, and tell of which."""
    queries, centroids = (torch.nn.functional.normalize(torch.randn(6, 9), dim=1) for _ in range(2))
    queries[2] *= 5
    weights = torch.tensor([1.0, 1, 15, 1, 1, 1])
    with OwnRandomState(1, CPU):
        lengths = QuerySampler(queries, centroids, weights).draw(4_000).norm(dim=1)
    assert (lengths > 3).float().mean().item() == pytest.approx(15 / 20, abs=0.03)


def test_an_epoch_of_stored_queries_has_them_as_often_as_they_are_asked() -> None:
    number = torch.arange(5.0)[:, None]
    stored = StoredBatches(LabelledQueries(number, number, torch.tensor([1.0, 1, 6, 1, 1])), 100)
    seen = []
    with OwnRandomState(2, CPU):
        for _ in range(1_000):
            stored.start_epoch()
            seen.append(stored.next().queries[:, 0])
    assert {len(rows) for rows in seen} == {5}
    shares = torch.bincount(torch.cat(seen).long()) / 5_000
    np.testing.assert_allclose(shares, [0.1, 0.1, 0.6, 0.1, 0.1], atol=0.03)


# The whole way.


@pytest.fixture
def asked(tmp_path: Path) -> RunConfig:
    """A run over a folder of which every third question is asked thirty times as often."""
    folder = write_vector_folder(tmp_path / "vectors", num_heads=8, questions_per_head=9)
    give_weights(folder, dict.fromkeys(range(0, 72, 3), 30))
    return RunConfig(
        data=DataConfig(database=str(folder)),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12),
        training=TrainingConfig(epochs=2, batch_size=16, seed=3, device="cpu"),
    )


def finished(config: RunConfig) -> tuple[TestEvaluated, Assessed, RunFinished]:
    *_, tested, assessed, last = TrainingSession(config)
    assert isinstance(tested, TestEvaluated)
    assert isinstance(assessed, Assessed)
    assert isinstance(last, RunFinished)
    return tested, assessed, last


def test_a_run_is_judged_by_what_is_asked(asked: RunConfig) -> None:
    tested, assessed, last = finished(asked)
    expected = [30.0 if row % 3 == 0 else 1.0 for row in tested.question_ids]
    assert list(tested.weights) == expected
    mean = np.average(tested.cosines, weights=expected)
    assert assessed.assessment.student.mean_cosine.value == pytest.approx(mean)
    assert last.evaluation.cosine.mean == pytest.approx(mean)
    assert last.verdict is not None
    assert "each as often as it is asked" in " ".join(last.verdict.reasons)
    assert assessed.assessment.is_weighted


def test_each_question_may_count_once(asked: RunConfig) -> None:
    tested, assessed, last = finished(asked.with_values(split=SplitConfig(query_weights="equal")))
    assert not tested.weights
    assert assessed.assessment.student.mean_cosine.value == pytest.approx(np.mean(tested.cosines))
    assert last.verdict is not None
    assert "as it is asked" not in " ".join(last.verdict.reasons)


def test_a_routed_student_is_fitted_on_what_is_asked(asked: RunConfig) -> None:
    config = asked.with_values(student=RoutedConfig(near="cells", labels=64))
    data = load_teacher_data(config.data, config.split)
    training = RoutedTraining(resolve(config, len(data.split.train)), data, OwnRandomState(0, CPU))
    *_, _ = training
    drawn = training.state_dict()["queries"]
    rows = [np.flatnonzero((data.queries == query).all(axis=1)) for query in drawn]
    real = np.array([row[0] for row in rows if len(row)])
    assert len(real) >= 20
    assert np.mean(real % 3 == 0) > 0.75


def test_the_teacher_is_judged_by_what_is_asked() -> None:
    queries, heads, answers = (RNG.normal(size=(n, 5)).astype(np.float32) for n in (40, 9, 9))
    index, truths = AnswerIndex(np.arange(9), answers), [{row % 9} for row in range(40)]
    plain = labelled(MultiHeadLDA(heads, answers, 0.2), queries, index, truths)
    weights = RNG.integers(1, 30, 40).astype(float)
    health = HealthProbe(replace(plain, weights=weights)).at(0.2)
    ranks = index.rank(plain.teacher.project(queries), index.positions(truths)).best_rank
    assert health.findings is not None
    assert health.findings.lda.mrr.value == pytest.approx(np.average(1 / ranks, weights=weights))
    assert any("count as often as they are asked" in note for note in health.notes)
    assert not HealthProbe(plain).at(0.2).notes


def test_what_was_found_is_looked_at_anew_when_other_questions_are_asked() -> None:
    plain = labelled(
        MultiHeadLDA(RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5)), 0.2), RNG.normal(size=(12, 5))
    )
    counted: list[int] = []

    def probe() -> HealthProbe:
        counted.append(1)
        return HealthProbe(plain)

    for weights in (None, np.ones(12), np.ones(12), np.arange(1.0, 13.0), None):
        known_health(probe, "the same heads", 0.2, weights)
    assert len(counted) == 3
