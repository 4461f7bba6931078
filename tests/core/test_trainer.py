from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from distill_core.config import TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.errors import TrainingError
from distill_core.students import ProjectionTransformer
from distill_core.training import EpochFinished, StepsFinished
from distill_core.training.loop import trainer
from distill_core.training.loop.batches import LabelledQueries
from distill_core.training.loop.trainer import Trainer
from distill_core.training.loop.training_setup import book_trainer

CPU = torch.device("cpu")
DIMENSION = 8
Event = StepsFinished | EpochFinished
Disturbance = Callable[[], object]


def make_queries(count: int = 22, seed: int = 5) -> LabelledQueries:
    generator = torch.Generator().manual_seed(seed)
    return LabelledQueries(
        torch.randn(count, DIMENSION, generator=generator),
        torch.randn(count, DIMENSION, generator=generator),
    )


def make_transformer(dropout: float = 0.0) -> ProjectionTransformer:
    with OwnRandomState(9, CPU):
        return ProjectionTransformer(DIMENSION, 2, 2, 12, dropout)


def make_linear() -> nn.Linear:
    with OwnRandomState(9, CPU):
        return nn.Linear(DIMENSION, DIMENSION)


def make_trainer(
    student: nn.Module,
    *,
    train: LabelledQueries | None = None,
    validation: LabelledQueries | None = None,
    **settings: object,
) -> Trainer:
    defaults = TrainingConfig(recipe="book", epochs=3, batch_size=8, learning_rate=0.01, seed=1)
    config = defaults.with_values(**settings)
    return book_trainer(
        student, train or make_queries(), validation, config, OwnRandomState(config.seed, CPU)
    )


def weights_of(student: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in student.parameters()]


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def loss_by_formula(
    predicted: NDArray[np.float64], target: NDArray[np.float64], cosine_weight: float
) -> tuple[float, float, float]:
    mse = float(((predicted - target) ** 2).mean())
    lengths = np.linalg.norm(predicted, axis=1) * np.linalg.norm(target, axis=1)
    cosine = float(((predicted * target).sum(axis=1) / lengths).mean())
    return (1 - cosine_weight) * mse + cosine_weight * (1 - cosine), mse, cosine


@pytest.fixture
def an_event_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_EVENT_SECONDS", 0.0)


@pytest.fixture
def an_event_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "_EVENT_SECONDS", 1e9)


# What is learned


def test_training_is_the_plain_loop_of_torch() -> None:
    single, student = make_queries(), make_transformer().double()  # AdamW turns rounding into steps
    queries = LabelledQueries(single.queries.double(), single.targets.double())
    plain = copy.deepcopy(student)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=0.01, foreach=False)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        order = torch.randperm(22, generator=generator)
        for start in (0, 8, 16):
            rows = order[start : start + 8]
            predicted, target = plain(queries.queries[rows]), queries.targets[rows]
            cosine = (predicted * target).sum(1) / (predicted.norm(dim=1) * target.norm(dim=1))
            loss = 0.3 * ((predicted - target) ** 2).mean() + 0.7 * (1 - cosine.mean())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    list(make_trainer(student, train=queries))
    for trained, expected in zip(student.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(trained, expected, rtol=0, atol=1e-8)
    assert not same_weights(student, make_transformer())


def test_training_is_adamw_by_its_formula() -> None:
    """MSE alone on a linear student, in float64 NumPy; AdamW as published, with torch's defaults."""
    queries, student = make_queries(), make_linear()
    x, y = (rows.double().numpy() for rows in (queries.queries, queries.targets))
    parameters = [weight.double().numpy() for weight in weights_of(student)]
    first, second = ([np.zeros_like(values) for values in parameters] for _ in range(2))
    generator = torch.Generator().manual_seed(1)
    step = 0
    for _ in range(3):
        for rows in np.split(torch.randperm(22, generator=generator).numpy(), [8, 16]):
            step += 1
            slope = 2 * (x[rows] @ parameters[0].T + parameters[1] - y[rows]) / (len(rows) * DIMENSION)
            for index, gradient in enumerate((slope.T @ x[rows], slope.sum(axis=0))):
                first[index] = 0.9 * first[index] + 0.1 * gradient
                second[index] = 0.999 * second[index] + 0.001 * gradient**2
                change = first[index] / (1 - 0.9**step)
                spread = np.sqrt(second[index] / (1 - 0.999**step)) + 1e-8
                parameters[index] = parameters[index] * (1 - 0.01 * 0.01) - 0.01 * change / spread
    list(make_trainer(student, train=queries, cosine_weight=0.0))
    for trained, expected in zip(weights_of(student), parameters, strict=True):
        np.testing.assert_allclose(trained.numpy(), expected, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("an_event_an_epoch")
def test_every_epoch_takes_every_query_once_in_another_order() -> None:
    queries, student = make_queries(), make_linear()
    batches: list[Tensor] = []
    student.register_forward_pre_hook(lambda module, inputs: batches.append(inputs[0]))
    list(make_trainer(student, train=queries, epochs=2))
    assert [len(batch) for batch in batches] == [8, 8, 6] * 2
    epochs = [torch.cat(batches[:3]), torch.cat(batches[3:])]
    assert not torch.equal(epochs[0], epochs[1])
    for epoch in epochs:
        assert sorted(epoch.tolist()) == sorted(queries.queries.tolist())


# What is told


@pytest.mark.usefixtures("an_event_a_step")
def test_the_events_of_a_run_with_one_event_a_step() -> None:
    events = list(make_trainer(make_linear(), epochs=2, validation=make_queries(4, seed=6)))
    told = [(type(event), event.step, event.epoch) for event in events]
    assert told == [
        (StepsFinished, 1, pytest.approx(1 / 3)),
        (StepsFinished, 2, pytest.approx(2 / 3)),
        (EpochFinished, 3, 1),
        (StepsFinished, 4, pytest.approx(4 / 3)),
        (StepsFinished, 5, pytest.approx(5 / 3)),
        (EpochFinished, 6, 2),
    ]


@pytest.mark.usefixtures("an_event_an_epoch")
def test_the_events_of_a_quick_run_are_its_epochs() -> None:
    run = make_trainer(make_linear())
    assert run.total_steps == 9
    events = list(run)
    assert [(type(event), event.step) for event in events] == [(EpochFinished, step) for step in (3, 6, 9)]
    assert (run.step, run.epochs_done) == (9, 3)


@pytest.mark.usefixtures("an_event_a_step")
@pytest.mark.parametrize("cosine_weight", [0.0, 0.7, 1.0])
def test_the_terms_are_means_over_queries(cosine_weight: float) -> None:
    train, validation, student = make_queries(), make_queries(5, seed=6), make_linear()
    weight, bias = (values.double().numpy() for values in weights_of(student))

    def expected(queries: LabelledQueries) -> tuple[float, float, float]:
        x, y = queries.queries.double().numpy(), queries.targets.double().numpy()
        return loss_by_formula(x @ weight.T + bias, y, cosine_weight)

    run = make_trainer(  # a step too small to move a weight
        student,
        train=train,
        validation=validation,
        epochs=1,
        learning_rate=1e-30,
        cosine_weight=cosine_weight,
    )
    *steps, epoch = run
    assert isinstance(epoch, EpochFinished)
    assert epoch.validation is not None
    for terms, queries in ((epoch.train, train), (epoch.validation, validation)):
        assert (terms.loss, terms.mse, terms.cosine) == pytest.approx(expected(queries), rel=1e-5)
    order = torch.randperm(22, generator=torch.Generator().manual_seed(1))
    for event, rows in zip(steps, torch.split(order, 8), strict=False):
        batch = expected(LabelledQueries(train.queries[rows], train.targets[rows]))
        assert (event.train.loss, event.train.mse, event.train.cosine) == pytest.approx(batch, rel=1e-5)
    assert epoch.learning_rate == 1e-30


def test_validation_is_without_dropout_and_without_queries_left_out() -> None:
    validation, student = make_queries(5, seed=6), make_transformer(dropout=0.5)
    for event in make_trainer(student, validation=validation, epochs=2):
        if isinstance(event, EpochFinished):
            projected = student.project(validation.queries.numpy()).astype(np.float64)
            expected = loss_by_formula(projected, validation.targets.double().numpy(), 0.7)
            assert event.validation is not None
            got = (event.validation.loss, event.validation.mse, event.validation.cosine)
            assert got == pytest.approx(expected, rel=1e-4)


def test_without_validation_queries_there_are_no_validation_terms() -> None:
    events = list(make_trainer(make_linear()))
    assert [event.validation for event in events if isinstance(event, EpochFinished)] == [None] * 3


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


def test_time_and_pace_without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, student = FakeClock(), make_linear()
    monkeypatch.setattr(trainer, "time", clock)

    def work(module: nn.Module, inputs: object) -> None:
        clock.seconds += 0.06 if module.training else 0.5

    student.register_forward_pre_hook(work)
    events: list[Event] = []
    for event in make_trainer(student, epochs=2, validation=make_queries(4, seed=6)):
        events.append(event)
        clock.seconds += 1000.0  # a pause
    # 22 queries in 3 steps an epoch; an event after two steps, for 0.12 s are over, then one of the epoch.
    seconds = [0.12, 0.18 + 0.5, 0.68 + 0.12, 2 * 0.68]
    pace = [16 / 0.12, 22 / 0.18, 38 / 0.30, 44 / 0.36]
    remaining = [0.12 / 2 * 4, 0.68 / 3 * 3, 0.80 / 5 * 1, 0.0]
    assert [event.step for event in events] == [2, 3, 5, 6]
    assert [event.active_seconds for event in events] == pytest.approx(seconds)
    assert [event.samples_per_second for event in events] == pytest.approx(pace)
    assert [event.eta_seconds for event in events] == pytest.approx(remaining)


# What it does not depend on


def trained(disturb: Disturbance = lambda: None, seed: int = 1) -> ProjectionTransformer:
    student = make_transformer(dropout=0.3)
    for _ in make_trainer(student, validation=make_queries(4, seed=6), seed=seed):
        disturb()
    return student


def test_the_same_seed_gives_the_same_weights_bit_for_bit() -> None:
    assert same_weights(trained(), trained())
    assert not same_weights(trained(), trained(seed=2))


@pytest.mark.usefixtures("an_event_a_step")
@pytest.mark.parametrize("disturb", [lambda: torch.rand(7), lambda: torch.manual_seed(3), torch.seed])
def test_random_numbers_of_others_between_events_change_nothing(disturb: Disturbance) -> None:
    assert same_weights(trained(disturb), trained())


@pytest.mark.usefixtures("an_event_a_step")
def test_a_run_leaves_the_random_state_of_others_alone() -> None:
    states = [torch.get_rng_state()]
    trained(lambda: states.append(torch.get_rng_state()))
    assert len(states) == 10
    assert all(torch.equal(state, states[0]) for state in states)


def test_how_often_it_is_told_validated_or_asked_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = trained()
    monkeypatch.setattr(trainer, "_EVENT_SECONDS", 0.0)
    asked, not_validated = make_transformer(dropout=0.3), make_transformer(dropout=0.3)
    for _ in make_trainer(asked, validation=make_queries(9, seed=7)):
        asked.project(np.ones((3, DIMENSION)))
        asked.eval()
    list(make_trainer(not_validated))
    assert same_weights(asked, expected)
    assert same_weights(not_validated, expected)


class JumpingClock:
    """A clock whose every reading is so many seconds after the one before, in turn."""

    def __init__(self, *seconds: float) -> None:
        self._steps = itertools.cycle(seconds)
        self._now = 0.0

    def perf_counter(self) -> float:
        self._now += next(self._steps)
        return self._now


def test_how_a_run_ends_does_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches whose loss explodes alone and not in the mean of what is looked at, and one that is lost."""
    for far, look, expected in [(300.0, 50, "ended"), (300.0, 1, "exploded"), (math.nan, 50, "not a number")]:
        monkeypatch.setattr(trainer, "_LOOK_STEPS", look)
        ends = []
        for seconds in [(0.0,), (1e-4,), (1.0,), (0.0, 500.0, -400.0), (-1.0,)]:
            monkeypatch.setattr(trainer, "time", JumpingClock(*seconds))
            train = make_queries(400)
            train.targets[0] *= far
            run = make_trainer(make_linear(), train=train, cosine_weight=0.0, learning_rate=1e-6)
            ends.append((_end_of(run), run.step, weights_of(run.learner.student)[0].nan_to_num().tolist()))
        assert expected in ends[0][0]
        assert all(end == ends[0] for end in ends)


def _end_of(run: Trainer) -> str:
    try:
        list(run)
    except TrainingError as error:
        return str(error)
    return "ended"


def test_a_stop_between_two_looks_resumes_to_the_same_end() -> None:
    """The part that is judged together is part of the state."""
    train = make_queries(400)
    train.targets[0] = math.nan
    ends = []
    for stop in (0, 1, 7, 30):
        run = make_trainer(make_linear(), train=train)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trainer, "_EVENT_SECONDS", 0.0)
            for event in run:
                if event.step >= stop:
                    break
        other = make_trainer(make_linear(), train=train)
        other.load_state_dict(copy.deepcopy(run.state_dict()))
        ends.append((_end_of(other), other.step))
    assert set(ends) == {(ends[0][0], 50)}


# What goes wrong


@pytest.mark.usefixtures("an_event_a_step")
@pytest.mark.parametrize("value", [math.nan, math.inf, 1e25])
def test_a_lost_loss_stops_at_the_next_look(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(trainer, "_LOOK_STEPS", 2)
    train = make_queries()
    train.targets[0] = value
    run = make_trainer(make_linear(), train=train)
    order = torch.randperm(22, generator=torch.Generator().manual_seed(1)).tolist()
    step = 2 if order.index(0) < 16 else 3
    with pytest.raises(TrainingError, match=f"at step {step}\\.") as caught:
        list(run)
    assert run.step == step
    assert "now 0.01" in caught.value.hint


@pytest.mark.usefixtures("an_event_an_epoch")
def test_an_epoch_with_a_lost_loss_is_not_told() -> None:
    train = make_queries()
    train.targets[0] = math.nan
    run = make_trainer(make_linear(), train=train)
    with pytest.raises(TrainingError, match="at step 3"):
        next(iter(run))
    assert run.epochs_done == 0


def test_weights_lost_in_the_very_last_step_stop_it_too() -> None:
    student = make_linear()
    student.weight.register_hook(lambda gradient: gradient * math.nan)  # type: ignore[no-untyped-call]
    run = make_trainer(student, validation=make_queries(4, seed=6), epochs=1, batch_size=22)
    events: list[Event] = []
    with pytest.raises(TrainingError, match="at step 1"):
        events.extend(run)
    assert [type(event) for event in events] == [EpochFinished]
    assert math.isfinite(events[0].train.loss)


def test_a_closed_run_stops_where_it_is() -> None:
    run = make_trainer(make_linear(), epochs=5)
    events = iter(run)
    next(events)
    student_then = weights_of(run.learner.student)
    events.close()  # type: ignore[attr-defined]
    assert list(events) == []
    assert all(map(torch.equal, weights_of(run.learner.student), student_then))
    assert run.epochs_done == 1
