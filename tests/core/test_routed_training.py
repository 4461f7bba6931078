from __future__ import annotations

from functools import cache
from typing import cast

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.errors import TrainingError
from distill_core.evaluation import tails
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.runs.recording.checkpoint import decode_state, encode_state
from distill_core.students import RoutedConfig
from distill_core.students.networks.code_index import CodeIndex
from distill_core.students.networks.routed import RoutedStudent
from distill_core.students.routed import LDA
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, TeacherData, split_queries
from distill_core.training import EpochFinished, RunFinished, TrainingSession
from distill_core.training.loop.cells import grow_cells
from distill_core.training.loop.routed import RoutedTraining
from distill_core.training.loop.routed_labels import Labels
from distill_core.training.loop.routed_rungs import RungFitter
from distill_core.training.loop.training_setup import make_training
from distill_core.training.recipes import resolve

DIMENSION, TOPICS = 24, 40
SMALL = RoutedConfig(
    near="scan",
    heads=4,
    layers=2,
    labels=512,
    wanted_agreement=0.8,
    wanted_worst=0.9,
    wanted_cosine=0.99,
)
"""A fit that is over in a moment, with wishes for heads that lie far denser than real ones."""

OPEN = SMALL.with_values(near=None)
MANY = 16_384
"""Heads that are not few at this dimension."""


@cache
def make_data(heads: int = 1_200, temperature: float = 0.1, clusters: int | None = None) -> TeacherData:
    """Heads in topics, answers that go with their centroids, and two queries beside each of 500 heads."""
    rng = np.random.default_rng(0)
    topics = rng.standard_normal((TOPICS, DIMENSION))
    centroids = topics[rng.integers(TOPICS, size=heads)] + rng.standard_normal((heads, DIMENSION))
    turn = rng.standard_normal((DIMENSION, DIMENSION)) / DIMENSION**0.5
    answers = centroids @ turn + rng.standard_normal((heads, DIMENSION)) + 1
    asked = np.repeat(rng.permutation(heads)[:500], 2)
    queries = centroids[asked] + 0.5 * rng.standard_normal((len(asked), DIMENSION))
    teacher = MultiHeadLDA(centroids, answers, temperature)
    labelled = LabelledQuestions(
        teacher=teacher,
        question_ids=np.arange(len(asked)),
        queries=queries.astype(np.float32),
        clusters=asked if clusters is None else asked % clusters,
        answers=None,
        true_answers=tuple(frozenset[int]() for _ in asked),
    )
    targets = teacher.project(labelled.queries)
    return TeacherData(labelled=labelled, targets=targets, split=split_queries(len(asked), seed=1))


def make(data: TeacherData, settings: RoutedConfig = SMALL, seed: int = 0, epochs: int = 9) -> RoutedTraining:
    config = RunConfig(
        data=DataConfig(database=""),
        student=settings,
        training=TrainingConfig(recipe="strong", seed=seed, epochs=epochs),
    )
    resolved = resolve(config, len(data.split.train))
    training = make_training(resolved, data, OwnRandomState(seed, torch.device("cpu")))
    assert isinstance(training, RoutedTraining)
    return training


def trained(data: TeacherData, settings: RoutedConfig = SMALL) -> RoutedStudent:
    training = make(data, settings)
    for _ in training:
        pass
    assert isinstance(training.student, RoutedStudent)
    return training.student


def routing(student: RoutedStudent) -> dict[str, object]:
    facts = student.facts["routing"]
    assert isinstance(facts, dict)
    return facts


def test_cosines(data: TeacherData, student: RoutedStudent) -> NDArray[np.float64]:
    rows = data.split.test
    return cosine_similarities(student.project(data.queries[rows]), data.targets[rows])


test_cosines.__test__ = False  # type: ignore[attr-defined]  # the name means the test split


def test_the_fastest_rung_that_reaches_the_wishes_is_kept() -> None:
    data = make_data()
    student = trained(data)
    told = routing(student)
    assert told["kind"] == "scan"
    assert told["cells"] == 16
    assert told["wishes_met"] is True
    assert told["labels"] == 512
    *before, last = cast(list[dict[str, float]], told["tried"])
    wished = SMALL.wishes._asdict()
    assert all(
        any(one[name] < wished[name] for name in wished if name in one) or one["nearly"] < wished["worst"]
        for one in before
    )
    assert all(last[name] >= wished[name] for name in wished)
    assert student.rung == SMALL.ladder(DIMENSION, 1_200)[len(before)]
    cosines = test_cosines(data, student)
    assert cosines.mean() > 0.99
    assert float(str(told["recall_at_1"])) > 0.95


def test_what_is_told_on_validation_is_what_the_student_does() -> None:
    data = make_data()
    student = trained(data)
    rows, teacher = data.split.validation, data.teacher
    cosines = cosine_similarities(student.project(data.queries[rows]), data.targets[rows])
    assert student.figures["validation_cosine"] == pytest.approx(cosines.mean(), abs=1e-5)
    assert student.figures["validation_worst"] == pytest.approx(cosines.min(), abs=1e-5)
    best = teacher.route(data.queries[rows]).argmax(axis=1)
    fields = student.fields
    found = fields.near_heads(fields.scaled(data.queries[rows])).heads
    recall = np.mean([head in near for head, near in zip(best, found, strict=True)])
    assert student.figures["recall_at_1"] == pytest.approx(recall)
    answers = teacher.answers / np.linalg.norm(teacher.answers, axis=1, keepdims=True)
    own, wanted = (
        np.argsort(projections @ answers.T, axis=1)[:, -10:]
        for projections in (student.project(data.queries[rows]), data.targets[rows])
    )
    same = [len(set(a.tolist()) & set(b.tolist())) / 10 for a, b in zip(own, wanted, strict=True)]
    assert student.figures["validation_agreement"] == pytest.approx(np.mean(same), abs=2e-3)


def test_rounds_are_epochs_of_twice_the_labels() -> None:
    training = make(make_data(), SMALL.with_values(labels=4_000))
    rounds = [event for event in training if isinstance(event, EpochFinished)]
    assert [event.step for event in rounds] == [1_000, 2_000, 4_000][: len(rounds)]
    assert [event.epoch for event in rounds] == list(range(1, len(rounds) + 1))
    for event in rounds:
        assert event.validation is not None
        assert event.train.cosine > 0.99
        share = 0.3 * event.validation.mse + 0.7 * (1 - event.validation.cosine)
        assert event.validation.loss == pytest.approx(share, rel=1e-3)
    assert len([0 for event in make(make_data(), epochs=1) if isinstance(event, EpochFinished)]) == 1


def far_fields(data: TeacherData, student: RoutedStudent) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The far field of each test query as the student has it, and as the heads that are not near make it."""
    fields, teacher = student.fields, data.teacher
    queries = fields.scaled(data.queries[data.split.test])
    mapped = queries @ fields.far.map.T + fields.far.shift
    found = fields.near_heads(queries)
    parts = fields.parts(queries, mapped[:, : fields.cells], found)
    own = parts.far + mapped[:, fields.cells : -1]
    weights = np.exp(queries.astype(np.float64) @ teacher.unit_centroids().T)
    np.put_along_axis(weights, found.heads, 0, axis=1)
    return own, weights @ teacher.answers / weights.sum(axis=1, keepdims=True)


def far_error(data: TeacherData, student: RoutedStudent) -> float:
    own, true = far_fields(data, student)
    return float(
        np.linalg.norm(own - true, axis=1).mean() / np.linalg.norm(true - true.mean(0), axis=1).mean()
    )


def test_the_far_field_is_what_the_near_heads_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: a tail fitted on whole labels, the near heads not subtracted, is seen at once."""
    data, settings = make_data(), SMALL.with_values(opened=32, refined=64)
    assert far_error(data, trained(data, settings)) < 0.45
    monkeypatch.setattr(tails.Labelled, "share", property(lambda labelled: np.ones(len(labelled.targets))))
    assert far_error(data, trained(data, settings)) > 0.5


def test_a_scan_that_nearly_misses_the_best_head_is_passed_over() -> None:
    """Half as many candidates of codes this coarse lose the best head of some query, and its answer."""
    data = make_data(temperature=0.03)
    careless = SMALL.with_values(
        wanted_worst=-1.0, wanted_recall=0.0, wanted_agreement=0.0, wanted_cosine=-1.0
    )
    first, careful = trained(data, careless), trained(data, careless.with_values(wanted_worst=0.9))
    tried = cast(list[dict[str, float]], routing(careful)["tried"])
    assert cast(list[dict[str, float]], routing(first)["tried"])[0]["nearly"] < 0.9
    assert all(one["nearly"] < 0.9 or one["worst"] < 0.9 for one in tried[:-1])
    assert careful.rung.refined > first.rung.refined


def test_what_is_nearly_missed_is_told_by_a_scan_of_half_as_many() -> None:
    data = make_data(temperature=0.03)
    student = trained(data, SMALL.with_values(opened=16, refined=16, codes=2))
    (tried,) = cast(list[dict[str, float]], routing(student)["tried"])
    fields = student.fields
    halved = RoutedStudent(**{**student.shape, "opened": 8, "refined": 8})  # type: ignore[arg-type]
    halved.fill(fields.keys, fields.answers, fields.far, fields.index)
    queries = data.queries[data.split.train]
    best = data.teacher.route(queries).argmax(axis=1)
    near = halved.fields.near_heads(fields.scaled(queries)).heads
    missed = np.array([head not in row for head, row in zip(best, near, strict=True)])
    cosines = cosine_similarities(halved.project(queries), data.targets[data.split.train])
    assert missed.any()
    assert cosines[missed].min() - 1e-5 <= tried["nearly"] < 0.9


def test_a_merged_head_weighs_what_its_far_heads_weigh() -> None:
    """The log of the far mass is the true one on average; left at the cells' sizes it is 0.9 below."""
    data = make_data()
    student = trained(data)
    fields = student.fields
    queries = fields.scaled(data.queries[data.split.test])
    mapped = queries @ fields.far.map.T + fields.far.shift
    found = fields.near_heads(queries)
    log_far = fields.parts(queries, mapped[:, : fields.cells], found).log_far
    weights = np.exp(queries.astype(np.float64) @ data.teacher.unit_centroids().T)
    np.put_along_axis(weights, found.heads, 0, axis=1)
    missed = np.log(weights.sum(axis=1)) - log_far
    assert abs(missed.mean()) < 0.05
    assert np.abs(missed).mean() < 0.2


def test_a_routing_that_misses_the_best_head_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: the scan drops the head that its codes find best."""
    data = make_data(MANY, temperature=0.03)
    whole = trained(data)
    worst = test_cosines(data, whole).min()
    search = CodeIndex.search
    monkeypatch.setattr(
        CodeIndex, "search", lambda index, queries, count: search(index, queries, count + 1)[:, 1:]
    )
    missing = trained(data)
    assert float(str(routing(whole)["recall_at_1"])) > 0.95
    assert float(str(routing(missing)["recall_at_1"])) < 0.7
    assert routing(missing)["wishes_met"] is False
    assert test_cosines(data, missing).min() < worst - 0.2
    fallen = trained(data, OPEN)
    assert routing(fallen)["kind"] == "lda"
    assert "no faster way reached" in str(routing(fallen)["reason"])


@pytest.mark.parametrize(
    ("settings", "heads", "reason"),
    [
        (OPEN, 900, "900 heads are few"),
        (OPEN.with_values(near="lda"), 1_200, "as asked for"),
        (OPEN.with_values(wanted_cosine=1.0, wanted_worst=1.0), MANY, "no faster way reached"),
    ],
)
def test_the_lda_itself_is_kept_where_nothing_else_will_do(
    settings: RoutedConfig, heads: int, reason: str
) -> None:
    data = make_data(heads)
    student = trained(data, settings)
    assert student.rung == LDA
    assert routing(student)["kind"] == "lda"
    assert routing(student)["opened"] == heads
    assert reason in str(routing(student)["reason"])
    rows = data.split.test
    np.testing.assert_allclose(student.project(data.queries[rows]), data.targets[rows], rtol=1e-4, atol=1e-5)


def test_more_opened_cells_come_nearer() -> None:
    data = make_data()
    few, many = (
        test_cosines(data, trained(data, SMALL.with_values(near="cells", opened=opened)))
        for opened in (1, 12)
    )
    assert few.mean() < many.mean()
    assert many.mean() > 0.995
    assert (1 - many).max() < (1 - few).max()


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_stopped_training_goes_on_to_the_same_student(stop: int) -> None:
    data, settings = make_data(), SMALL.with_values(labels=2_000)
    whole = trained(data, settings)
    first = make(data, settings)
    for number, _ in enumerate(first, start=1):
        if number == stop:
            break
    state, _ = decode_state(encode_state(first.state_dict(), {}))
    second = make(data, settings)
    second.load_state_dict(state)
    list(second)
    resumed = second.student
    assert resumed.facts == whole.facts
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(resumed.weights()[name], array)


def test_a_student_is_there_from_the_start_and_sound() -> None:
    training = make(make_data())
    assert isinstance(training.student, RoutedStudent)
    assert training.student.rung == LDA
    assert training.is_sound
    next(iter(training))
    assert training.step > 0


def test_queries_of_one_cluster_alone_are_refused() -> None:
    with pytest.raises(TrainingError, match="700 training queries belong to one cluster"):
        make(make_data(clusters=1))


@pytest.mark.parametrize("storage", ["float16", "int8"])
def test_fewer_bytes_are_fitted_as_they_are_stored(storage: str) -> None:
    data = make_data()
    plain, small = trained(data), trained(data, SMALL.with_values(storage=storage))
    assert small.size_bytes < plain.size_bytes
    assert test_cosines(data, small).mean() > test_cosines(data, plain).mean() - 1e-3


def test_a_run_tells_the_routing_at_its_end() -> None:
    data = make_data()
    config = RunConfig(data=DataConfig(database=""), student=SMALL, training=TrainingConfig(recipe="strong"))
    *_, finished = TrainingSession(config, data=data)
    assert isinstance(finished, RunFinished)
    told = msgspec.json.decode(msgspec.json.encode(finished))["facts"]["routing"]
    assert {"kind", "cells", "opened", "recall_at_1"} <= told.keys()
    assert told["kind"] == "scan"
    assert finished.verdict is not None


def test_every_head_is_in_the_cell_that_is_nearest_of_h_to_the_l() -> None:
    units = make_data().teacher.unit_centroids()
    cells = grow_cells(units, 4, 2)
    assert cells.number == 16
    assert cells.sizes().sum() == len(units)
    assert len(np.unique(cells.cell)) == 16
    means = cells.means(units)
    within = np.einsum("nd,nd->n", units, means[cells.cell]).mean()
    rng = np.random.default_rng(0)
    shuffled = cells._replace(cell=rng.permutation(cells.cell))
    assert within > 2 * np.einsum("nd,nd->n", units, shuffled.means(units)[shuffled.cell]).mean()
    assert grow_cells(units[:10], 4, 2).cell.tolist() == list(range(10))


def test_labels_are_the_teachers_in_float64() -> None:
    data = make_data()
    fitter = RungFitter(data.teacher, SMALL, 0)
    queries = fitter.lda().fields.scaled(data.queries[:300])
    labels: Labels = fitter.labeller.label(queries)
    scores = queries.astype(np.float64) @ data.teacher.unit_centroids().T
    np.testing.assert_allclose(labels.log_mass, np.log(np.exp(scores).sum(axis=1)), rtol=1e-5)
    np.testing.assert_array_equal(labels.best, scores.argmax(axis=1))
    np.testing.assert_allclose(labels.targets, data.targets[:300], rtol=1e-4, atol=1e-5)
