from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.database import LdaDatabase
from distill_core.devices import OwnRandomState
from distill_core.errors import (
    DatabaseError,
    DeviceError,
    DistillError,
    ProjectionNotFoundError,
    SettingsError,
    TooFewQueriesError,
)
from distill_core.students import EncoderConfig, new_student
from distill_core.teacher_data import load_teacher_data, split_queries
from distill_core.training import (
    Assessed,
    BaselineFitted,
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    TestEvaluated,
    TrainEvent,
    TrainingSession,
    train,
)
from distill_core.training.loop.batches import LabelledQueries
from distill_core.training.loop.training_setup import book_trainer
from tests.core.database_factory import write_lda_db

LADDER = [
    "constant",
    "query",
    "nearest_query",
    "nearest_centroid",
    "top_2",
    "ridge",
    "low_rank_1",
    "low_rank_2",
    "merged_2",
]
"""For 4 heads: 8 and 32 heads are not there to route to, nor 1 group to merge to."""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run over 40 questions that is over in a moment."""
    return RunConfig(
        data=DataConfig(database=str(write_lda_db(tmp_path / "db", questions_per_head=10))),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12, dropout=0.1),
        training=TrainingConfig(
            recipe="book",
            epochs=3,
            batch_size=16,
            learning_rate=1e-3,
            mse_reduction="mean",
            seed=4,
            device="cpu",
        ),
    )


def with_training(config: RunConfig, **values: object) -> RunConfig:
    return config.with_values(training=config.training.with_values(**values))


def finished(session: TrainingSession) -> tuple[list[TrainEvent], dict[str, torch.Tensor]]:
    events = list(session)
    assert session.student is not None
    return events, session.student.state_dict()


def test_a_run_from_start_to_finish(config: RunConfig) -> None:
    events = list(train(config))
    told = [type(event) for event in events if not isinstance(event, StepsFinished)]
    assert told == [
        RunStarted,
        *[BaselineFitted] * len(LADDER),
        *[EpochFinished] * 3,
        TestEvaluated,
        Assessed,
        RunFinished,
    ]
    assert [event.name for event in events if isinstance(event, BaselineFitted)] == LADDER
    started = events[0]
    assert isinstance(started, RunStarted)
    assert started.config == config
    assert (started.num_heads, started.dimension, started.temperature) == (4, 8, 0.1)
    assert (started.num_train, started.num_validation, started.num_test) == (28, 4, 8)
    assert started.total_steps == 3 * 2
    # two maps of 8 x 8; a layer: four maps of 8 x 8, feed-forward 8 x 12 and back, two norms
    assert started.student_parameters == 2 * 72 + 4 * 72 + (96 + 12 + 96 + 8) + 32
    assert started.teacher_parameters == 2 * 4 * 8
    assert started.device == "cpu"


def test_the_test_queries_are_judged_one_by_one_and_together(config: RunConfig) -> None:
    session = TrainingSession(config)
    *_, tested, assessed, last = session
    assert isinstance(tested, TestEvaluated)
    assert isinstance(assessed, Assessed)
    assert isinstance(last, RunFinished)
    with LdaDatabase(config.data.database) as database:
        ids, queries = database.queries(1)
        teacher = database.teacher(1)
    rows = split_queries(40, seed=0).test
    assert tested.question_ids == tuple(ids[rows])
    assert session.student is not None
    guess, truth = (
        part.astype(np.float64)
        for part in (session.student.project(queries[rows]), teacher.project(queries[rows]))
    )
    lengths = np.linalg.norm(guess, axis=1) * np.linalg.norm(truth, axis=1)
    cosines = (guess * truth).sum(axis=1) / lengths
    assert tested.cosines == pytest.approx(cosines.tolist(), abs=1e-6)
    assert last.evaluation.n == 8
    summary = last.evaluation.cosine
    assert summary.mean == pytest.approx(cosines.mean(), abs=1e-6)
    assert summary.sd == pytest.approx(cosines.std(), abs=1e-6)
    assert (summary.min, summary.max) == pytest.approx((cosines.min(), cosines.max()), abs=1e-6)
    assert last.evaluation.mse == pytest.approx(((guess - truth) ** 2).mean(), abs=1e-6)
    assert assessed.assessment.n == 8
    assert assessed.assessment.student_cosines == tested.cosines
    assert last.epochs == 3
    assert last.saved is None


def test_as_json_every_event_has_a_name_and_the_last_the_evaluation(config: RunConfig) -> None:
    lines = [json.loads(msgspec.json.encode(event)) for event in train(config)]
    names = [line["event"] for line in lines if line["event"] != "steps"]
    rungs, epochs = ["baseline"] * len(LADDER), ["epoch"] * 3
    assert names == ["started", *rungs, *epochs, "tested", "assessed", "finished"]
    assert {"n", "cosine", "mse"} <= set(lines[-1]["evaluation"])
    assert {"mean", "sd", "min", "max"} <= set(lines[-1]["evaluation"]["cosine"])
    assert all(isinstance(value, float) for value in lines[-1]["evaluation"]["cosine"].values())
    assert list(lines[-1]["baselines"]) == LADDER
    for baseline in lines[-1]["baselines"].values():
        assert isinstance(baseline["skill"], float)
        assert {"mean", "min"} <= set(baseline["cosine"])
    assert isinstance(lines[-1]["skill"], float)
    assert [scores["name"] for scores in lines[-1]["retrieval"]["scores"]] == ["teacher", "student", *LADDER]
    assert {"kind", "sentence", "reasons", "would_change", "rule"} <= set(lines[-1]["verdict"])


def test_events_cannot_be_changed(config: RunConfig) -> None:
    for event in train(config):
        for name in event.__struct_fields__:
            with pytest.raises(AttributeError):
                setattr(event, name, None)


def test_two_runs_are_identical_whatever_others_draw(config: RunConfig) -> None:
    _, weights = finished(TrainingSession(config))
    disturbed = TrainingSession(config)
    for _ in disturbed:
        torch.manual_seed(0)
        torch.rand(3)
    assert disturbed.student is not None
    others = disturbed.student.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    _, other_seed = finished(TrainingSession(with_training(config, seed=5)))
    assert not torch.equal(weights["input_proj.weight"], other_seed["input_proj.weight"])


def test_a_run_in_another_thread_is_the_same_run(config: RunConfig) -> None:
    results: list[tuple[list[TrainEvent], dict[str, torch.Tensor]]] = []
    thread = threading.Thread(target=lambda: results.append(finished(TrainingSession(config))))
    thread.start()
    thread.join()
    _, here = finished(TrainingSession(config))
    ((_, there),) = results
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_a_run_leaves_the_random_state_of_others_alone(config: RunConfig) -> None:
    before = torch.get_rng_state()
    for _ in train(config):
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_alone_decides_the_first_weights(config: RunConfig) -> None:
    session = TrainingSession(config)
    events = iter(session)
    next(events)
    assert session.student is not None
    assert session.data is not None
    with torch.random.fork_rng():
        torch.manual_seed(4)
        expected = type(session.student)(8, 2, 1, 12, 0.1)
    initial = session.student.state_dict()
    assert all(torch.equal(initial[name], weight) for name, weight in expected.state_dict().items())
    split = split_queries(40, seed=0)
    assert session.data.split.train.tolist() == split.train.tolist()
    assert session.data.split.test.tolist() == split.test.tolist()


@pytest.mark.parametrize("pulls", [1, 2, 4, 8, 9, 10])
def test_a_run_closed_early_can_still_be_judged(config: RunConfig, pulls: int) -> None:
    session = TrainingSession(config)
    events = iter(session)
    pulled = [next(events) for _ in range(pulls)]
    events.close()  # type: ignore[attr-defined]
    assert list(events) == []
    tested, assessed, last = session.conclude()
    assert isinstance(tested, TestEvaluated)
    assert isinstance(assessed, Assessed)
    assert isinstance(last, RunFinished)
    assert last.epochs == sum(isinstance(event, EpochFinished) for event in pulled)
    assert list(last.baselines) == [event.name for event in pulled if isinstance(event, BaselineFitted)]
    assert last.evaluation.n == len(tested.cosines) == 8
    assert last.evaluation.cosine.mean == pytest.approx(float(np.mean(tested.cosines)))


def test_ladder_and_judging_leave_the_student_and_the_random_stream_alone(config: RunConfig) -> None:
    """The same weights, to the last bit, come out of the training loop by itself."""
    np.random.random()  # away from where a seed begins
    numpys = pickle.dumps(np.random.get_state())
    _, weights = finished(TrainingSession(config))
    assert pickle.dumps(np.random.get_state()) == numpys

    data = load_teacher_data(config.data, config.split)
    queries, targets = (torch.from_numpy(rows[data.split.train]) for rows in (data.queries, data.targets))
    random_state = OwnRandomState(config.training.seed, torch.device("cpu"))
    with random_state:
        student = new_student(config.student, 8, 4)
    list(book_trainer(student, LabelledQueries(queries, targets), None, config.training, random_state))
    assert all(torch.equal(weights[name], weight) for name, weight in student.state_dict().items())


def test_judging_again_says_the_same_and_changes_nothing(config: RunConfig) -> None:
    session = TrainingSession(config)
    *_, tested, assessed, last = session
    assert session.student is not None
    session.student.train()
    before = {name: weight.clone() for name, weight in session.student.state_dict().items()}
    assert list(session.conclude()) == [tested, assessed, last]
    assert session.student.training
    after = session.student.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_baseline_tells_its_cosine_on_the_queries_that_are_watched(config: RunConfig) -> None:
    session = TrainingSession(config)
    told = {event.name: event for event in session if isinstance(event, BaselineFitted)}
    assert session.data is not None
    assert [rung.name for rung in session.baselines] == LADDER
    rows = session.data.split.validation
    watched, targets = session.data.queries[rows].astype(np.float64), session.data.targets.astype(np.float64)
    constant = targets[session.data.split.train].mean(axis=0)
    for name, guess in (("query", watched), ("constant", np.tile(constant, (len(rows), 1)))):
        lengths = np.linalg.norm(guess, axis=1) * np.linalg.norm(targets[rows], axis=1)
        cosine = ((guess * targets[rows]).sum(axis=1) / lengths).mean()
        assert told[name].validation_cosine == pytest.approx(cosine, abs=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_is_reduced_as_the_settings_say(config: RunConfig, reduction: str) -> None:
    """The terms that are told always mean the same; the loss mixes them with d = 8 times the MSE or once."""
    times = 8 if reduction == "sum" else 1
    for event in train(with_training(config, mse_reduction=reduction, cosine_weight=0.4)):
        if not isinstance(event, EpochFinished):
            continue
        assert event.validation is not None
        for terms in (event.train, event.validation):
            mixed = 0.6 * times * terms.mse + 0.4 * (1 - terms.cosine)
            assert terms.loss == pytest.approx(mixed, rel=1e-5)


@pytest.mark.parametrize(("cosine_weight", "share"), [(0.0, 1.0), (1.0, 0.0)])
def test_an_epoch_tells_which_term_moves_the_student(
    config: RunConfig, cosine_weight: float, share: float
) -> None:
    shares = [
        event.mse_gradient_share
        for event in train(with_training(config, cosine_weight=cosine_weight))
        if isinstance(event, EpochFinished)
    ]
    assert shares == [share] * 3


def test_a_run_by_cluster_is_judged_by_clusters_it_has_never_seen(config: RunConfig, tmp_path: Path) -> None:
    """8 clusters of 6 questions, numbered one after the other; a quarter of 8 is 2."""
    database = write_lda_db(tmp_path / "eight", num_heads=8, questions_per_head=6)
    by_cluster = SplitConfig(split="cluster", validation_fraction=0.125, test_fraction=0.25)
    session = TrainingSession(other_data(database=str(database))(config).with_values(split=by_cluster))
    started, *_, tested, assessed, last = session
    assert isinstance(started, RunStarted)
    assert isinstance(tested, TestEvaluated)
    assert isinstance(assessed, Assessed)
    assert isinstance(last, RunFinished)
    assert (started.num_train, started.num_validation, started.num_test) == (30, 6, 12)
    assert session.data is not None
    ids, split = session.data.question_ids, session.data.split
    trained, watched, judged = (
        {(number - 1) // 6 for number in ids[part].tolist()}
        for part in (split.train, split.validation, split.test)
    )
    assert (len(trained), len(watched), len(judged)) == (5, 1, 2)
    assert trained | watched | judged == set(range(8))
    expected = [number for number in range(1, 49) if (number - 1) // 6 in judged]
    assert list(tested.question_ids) == expected
    assert assessed.assessment.num_clusters == 2
    assert last.evaluation.n == 12


def test_a_run_never_started_has_nothing_to_judge(config: RunConfig) -> None:
    assert list(TrainingSession(config).conclude()) == []


def test_nothing_happens_before_the_first_event_is_pulled(config: RunConfig) -> None:
    session = TrainingSession(config)
    iter(session)
    assert (session.data, session.student) == (None, None)


def test_a_student_learns_what_a_constant_cannot(config: RunConfig) -> None:
    session = TrainingSession(with_training(config, epochs=60, learning_rate=5e-3))
    *_, last = session
    assert isinstance(last, RunFinished)
    assert session.data is not None
    targets = session.data.targets.astype(np.float64)
    constant = targets[session.data.split.train].mean(axis=0)
    judged = targets[session.data.split.test]
    baseline = judged @ constant / np.linalg.norm(judged, axis=1) / np.linalg.norm(constant)
    assert last.evaluation.cosine.mean > baseline.mean() + 0.3


def test_the_threads_asked_for_are_used_and_given_back(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = [7]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    started = next(train(with_training(config, threads=3)))  # and the rest is dropped, which closes it
    assert isinstance(started, RunStarted)
    assert started.threads == 3
    assert threads == [7, 3, 7]
    list(train(with_training(config, threads=0)))
    assert threads == [7, 3, 7]


def test_the_database_stays_as_it_is(config: RunConfig) -> None:
    folder = Path(config.data.database).parent

    def snapshot() -> list[tuple[str, int, int]]:
        files = sorted(folder.rglob("*"))
        return [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]

    before = snapshot()
    list(train(config))
    assert snapshot() == before


def other_data(**values: object) -> Callable[[RunConfig], RunConfig]:
    return lambda config: config.with_values(data=config.data.with_values(**values))


def other_split(**values: object) -> Callable[[RunConfig], RunConfig]:
    return lambda config: config.with_values(split=config.split.with_values(**values))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (other_data(database="/nowhere/lda.db"), DatabaseError),
        (other_data(mh_id=9), ProjectionNotFoundError),
        (other_data(temperature=float("inf")), SettingsError),
        (other_split(validation_fraction=0.49, test_fraction=0.499), SettingsError),
        (other_split(split="cluster", validation_fraction=0.4, test_fraction=0.4), SettingsError),
        (lambda config: config.with_values(student=config.student.with_values(heads=3)), SettingsError),
    ],
)
def test_what_cannot_be_used_is_said_before_the_first_step(
    config: RunConfig, change: Callable[[RunConfig], RunConfig], error: type[DistillError]
) -> None:
    with pytest.raises(error):
        next(train(change(config)))


def test_heads_that_do_not_divide_name_their_field(config: RunConfig) -> None:
    with pytest.raises(SettingsError, match="Heads H = 3") as caught:
        list(train(config.with_values(student=config.student.with_values(heads=3))))
    assert caught.value.field == "heads"


def test_two_clusters_are_too_few_to_split_by(config: RunConfig, tmp_path: Path) -> None:
    two = write_lda_db(tmp_path / "two", num_heads=2, questions_per_head=10)
    change = other_split(split="cluster")
    with pytest.raises(TooFewQueriesError, match="2 clusters"):
        next(train(change(other_data(database=str(two))(config))))


def test_fewer_than_ten_queries_are_too_few(config: RunConfig, tmp_path: Path) -> None:
    nine = write_lda_db(tmp_path / "nine", num_heads=3, questions_per_head=3)
    with pytest.raises(TooFewQueriesError, match="9 queries"):
        next(train(other_data(database=str(nine))(config)))


def test_a_device_that_is_not_there_is_refused(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError):
        next(train(with_training(config, device="cuda")))
