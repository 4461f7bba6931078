"""The recipe `strong`: drawn queries, one cycle, running average, best weights, a state to go on from."""

from __future__ import annotations

import copy
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from distill_core.config import DataConfig, Recipe, RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.errors import TrainingError
from distill_core.students import EncoderConfig
from distill_core.students.kinds import student_settings
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training import (
    EpochFinished,
    RunFinished,
    RunStarted,
    StepsFinished,
    TrainingSession,
)
from distill_core.training.loop import trainer
from distill_core.training.loop.learner import Learner, rate_share
from distill_core.training.loop.trainer import Trainer
from distill_core.training.loop.training_setup import make_trainer
from distill_core.training.recipes import resolve
from tests.core.database_factory import write_lda_db
from tests.core.students.test_encoder import make_student

CPU = torch.device("cpu")


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(database=str(write_lda_db(tmp_path / "db", questions_per_head=10))),
        student=EncoderConfig(heads=2, layers=1, ff_dim=12),
        training=TrainingConfig(epochs=3, batch_size=16, learning_rate=5e-3, seed=4, device="cpu"),
    )


def load(config: RunConfig) -> TeacherData:
    return load_teacher_data(config.data, config.split)


def new_trainer(config: RunConfig, data: TeacherData | None = None) -> Trainer:
    data = data or load(config)
    random_state = OwnRandomState(config.training.seed, CPU)
    with random_state:
        return make_trainer(resolve(config, len(data.split.train)), data, random_state)


def weights(run: Trainer) -> list[torch.Tensor]:
    modules = (run.learner.student, run.learner.validated, run.learner.best)
    return [weight.detach().clone() for module in modules for weight in module.parameters()]


def test_strong_is_the_default_and_nothing_is_left_open(config: RunConfig) -> None:
    session = TrainingSession(RunConfig(data=config.data, student=config.student))
    started = next(iter(session))
    assert isinstance(started, RunStarted)
    training = started.config.training
    assert training.recipe == "strong"
    assert None not in (training.epochs, training.batch_size, training.learning_rate, training.mse_reduction)
    assert started.config.student.value("dropout") == 0.0
    assert (
        started.total_steps == (training.epochs or 0) * 20
    )  # 28 training queries: 20 steps an epoch at least
    assert session.config == started.config


@pytest.mark.parametrize("kind", ["encoder", "memory", "mlp"])
def test_every_student_learns(config: RunConfig, kind: str) -> None:
    student = student_settings(kind, {**msgspec.structs.asdict(config.student), "slots": 3})
    longer = config.training.with_values(epochs=15)
    *events, last = TrainingSession(config.with_values(student=student, training=longer))
    epochs = [event for event in events if isinstance(event, EpochFinished)]
    assert isinstance(last, RunFinished)
    assert epochs[-1].train.loss < epochs[0].train.loss
    assert last.skill is not None
    assert last.skill > 0.5


def test_neither_validation_nor_test_queries_change_what_is_learnt(config: RunConfig) -> None:
    data = load(config)
    other = copy.deepcopy(data)
    held_out = np.concatenate((data.split.validation, data.split.test))
    other.labelled.queries[held_out] = 1.0
    one, two = new_trainer(config, data), new_trainer(config, other)
    list(one)
    list(two)
    for mine, others in zip(one.learner.student.parameters(), two.learner.student.parameters(), strict=True):
        assert torch.equal(mine, others)


def test_the_learning_rate_goes_up_and_down_once(config: RunConfig) -> None:
    longer = config.with_values(training=config.training.with_values(epochs=10))
    rates = [event.learning_rate for event in new_trainer(longer) if isinstance(event, EpochFinished)]
    assert rates == pytest.approx([5e-3 / (1 + (20 * epoch / 20) ** 2) for epoch in range(1, 11)])
    shares = [rate_share(step, 1000) for step in range(1000)]
    assert shares[:20] == sorted(shares[:20])
    assert shares[20:] == sorted(shares[20:], reverse=True)
    assert shares[100] == pytest.approx(0.5)
    assert rate_share(0, 1) == 1.0


def test_the_untrained_output_has_the_teachers_length(config: RunConfig) -> None:
    data = load(config)
    student = new_trainer(config, data).learner.student
    with torch.no_grad():
        length = student(torch.from_numpy(data.queries)).norm(dim=1).mean()
    assert float(length) == pytest.approx(float(np.linalg.norm(data.targets, axis=1).mean()), rel=0.3)


def test_the_average_follows_the_weights_by_its_formula() -> None:
    student = make_student(dropout=0.0)
    settings = TrainingConfig(learning_rate=0.01)
    learner = Learner(student, settings, total_steps=10)
    expected = [weight.detach().clone() for weight in student.parameters()]
    queries = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    for step in range(1, 31):
        learner.step(learner.predict(queries).square().sum())
        if step % 5 == 0:  # 50 steps of memory, looked at every fifth
            expected = [
                0.9 * mean + 0.1 * weight.detach()
                for mean, weight in zip(expected, student.parameters(), strict=True)
            ]
    for mean, weight in zip(expected, learner.validated.parameters(), strict=True):
        torch.testing.assert_close(weight.detach(), mean, rtol=1e-5, atol=1e-6)


def test_the_best_validated_weights_are_kept() -> None:
    learner = Learner(make_student(), TrainingConfig(learning_rate=0.01), total_steps=10)
    first = copy.deepcopy(learner.best.state_dict())
    with torch.no_grad():
        next(learner.validated.parameters()).add_(1.0)
    assert learner.keep_best(0.5)
    kept = copy.deepcopy(learner.best.state_dict())
    assert not torch.equal(kept["input_proj.weight"], first["input_proj.weight"])
    with torch.no_grad():
        next(learner.validated.parameters()).add_(1.0)
    assert not learner.keep_best(0.5)
    assert not learner.keep_best(float("nan"))
    kept_output = kept["output_proj.weight"]
    assert learner.keep_best(0.25, scale=3.0)
    wanted = 3.0 * learner.validated.state_dict()["output_proj.weight"]
    torch.testing.assert_close(learner.best.state_dict()["output_proj.weight"], wanted)
    assert not torch.equal(learner.best.state_dict()["output_proj.weight"], kept_output)


def test_training_ends_when_validation_stalls(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_trainer(config.with_values(training=config.training.with_values(epochs=10)))
    monkeypatch.setattr(run.learner, "keep_best", lambda loss, scale: False)
    assert [event.epoch for event in run if isinstance(event, EpochFinished)] == [1, 2, 3, 4, 5]


def test_one_epoch_is_one_epoch(config: RunConfig) -> None:
    run = new_trainer(config.with_values(training=config.training.with_values(epochs=1)))
    assert [event.epoch for event in run if isinstance(event, EpochFinished)] == [1]


def test_a_large_step_cannot_pass_unseen(config: RunConfig) -> None:
    run = new_trainer(config)
    with torch.no_grad():
        next(run.learner.student.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not a number any more"):
        list(run)


@pytest.mark.parametrize("recipe", ["strong", "book"])
@pytest.mark.parametrize("stop_after", [1, 7, 25, 41])
def test_going_on_from_a_state_gives_the_same_bits(
    config: RunConfig, recipe: Recipe, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "_EVENT_SECONDS", 0.0)  # an event a step
    training = config.training.with_values(recipe=recipe, epochs=3 if recipe == "strong" else 30)
    config = config.with_values(training=training, student=config.student.with_values(dropout=0.2))
    data = load(config)
    whole, first = new_trainer(config, data), new_trainer(config, data)
    events = list(whole)
    pulled = iter(first)
    told = [next(pulled) for _ in range(stop_after)]
    state = copy.deepcopy(first.state_dict())
    next(pulled)  # what happens after the state was taken does not matter
    second = new_trainer(config, data)
    with second._random:
        torch.rand(5)
    second.load_state_dict(state)
    told += list(second)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(second), strict=True))
    assert [_numbers(event) for event in told] == [_numbers(event) for event in events]


def _numbers(event: StepsFinished | EpochFinished) -> tuple[object, ...]:
    if isinstance(event, StepsFinished):
        return event.step, event.epoch, event.train
    return event.step, event.epoch, event.train, event.validation, event.mse_gradient_share
