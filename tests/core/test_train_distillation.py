from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from distill_core.devices import OwnRandomState
from distill_core.errors import SettingsError, VectorError
from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA
from distill_core.training import train_distillation
from distill_core.training.loop.learner import Learner

Floats = NDArray[np.float32]


def make_student(dimension: int = 8) -> ProjectionTransformer:
    with OwnRandomState(2, torch.device("cpu")):
        return ProjectionTransformer(dimension, 2, 1, 16)


@pytest.fixture
def teacher() -> MultiHeadLDA:
    rng = np.random.default_rng(0)
    return MultiHeadLDA(rng.normal(size=(4, 8)), rng.normal(size=(4, 8)), 0.1)


@pytest.fixture
def queries() -> Floats:
    return np.random.default_rng(1).normal(size=(24, 8)).astype(np.float32)


def test_the_signature_is_the_published_one() -> None:
    parameters = inspect.signature(train_distillation).parameters
    assert list(parameters)[:6] == [
        "student",
        "teacher",
        "queries",
        "num_epochs",
        "cosine_weight",
        "learning_rate",
    ]
    defaults = [
        parameters[name].default for name in ("num_epochs", "cosine_weight", "learning_rate", "batch_size")
    ]
    assert defaults == [200, 0.7, 1e-4, 32]


def test_the_history_has_a_number_an_epoch_and_the_student_learns(
    teacher: MultiHeadLDA, queries: Floats
) -> None:
    student = make_student()
    history = train_distillation(student, teacher, queries, 40, 0.7, 5e-3)
    assert set(history) == {"loss", "mse", "cosine"}
    assert {len(values) for values in history.values()} == {40}
    expected = [
        0.3 * mse + 0.7 * (1 - cosine) for mse, cosine in zip(history["mse"], history["cosine"], strict=True)
    ]
    assert history["loss"] == pytest.approx(expected, rel=1e-4)

    guess, truth = student.project(queries).astype(float), teacher.project(queries).astype(float)
    cosines = (guess * truth).sum(axis=1) / np.linalg.norm(guess, axis=1) / np.linalg.norm(truth, axis=1)
    assert cosines.mean() > 0.9
    assert history["cosine"][0] < 0.3


def test_the_first_epoch_is_the_untrained_students(teacher: MultiHeadLDA, queries: Floats) -> None:
    student = make_student().eval()
    for module in student.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    for layer in student.encoder.layers:
        layer.self_attn.dropout = 0.0
    guess, truth = student.project(queries).astype(float), teacher.project(queries).astype(float)
    history = train_distillation(student, teacher, queries, num_epochs=1, learning_rate=1e-30, batch_size=5)
    cosines = (guess * truth).sum(axis=1) / np.linalg.norm(guess, axis=1) / np.linalg.norm(truth, axis=1)
    assert history["mse"] == [pytest.approx(((guess - truth) ** 2).mean(), rel=1e-5)]
    assert history["cosine"] == [pytest.approx(cosines.mean(), abs=1e-5)]


def test_the_same_seed_gives_the_same_weights(teacher: MultiHeadLDA, queries: Floats) -> None:
    weights = []
    for seed in (3, 3, 4):
        student = make_student()
        train_distillation(student, teacher, queries, num_epochs=2, batch_size=8, seed=seed)
        weights.append(student.output_proj.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_others_random_state_and_the_queries_stay_as_they_are(teacher: MultiHeadLDA, queries: Floats) -> None:
    state, before = torch.get_rng_state(), queries.copy()
    queries.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train_distillation(make_student(), teacher, queries, num_epochs=1)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(queries, before)


@pytest.mark.parametrize("shape", [(8,), (0, 8), (5, 7), (2, 5, 8)])
def test_queries_of_another_shape_are_refused(teacher: MultiHeadLDA, shape: tuple[int, ...]) -> None:
    with pytest.raises(VectorError, match="student of dimension 8"):
        train_distillation(make_student(), teacher, np.ones(shape))


def test_a_student_of_another_dimension_is_refused(teacher: MultiHeadLDA, queries: Floats) -> None:
    with pytest.raises(VectorError, match="student of dimension 6"):
        train_distillation(make_student(6), teacher, queries)
    with pytest.raises(VectorError, match="projection of dimension 8"):
        train_distillation(make_student(6), teacher, queries[:, :6])


@pytest.mark.parametrize(
    ("setting", "value", "field"),
    [
        ("num_epochs", 0, "epochs"),
        ("cosine_weight", 1.5, "cosine_weight"),
        ("learning_rate", 0.0, "learning_rate"),
    ],
)
def test_a_setting_out_of_range_is_refused(
    teacher: MultiHeadLDA, queries: Floats, setting: str, value: float, field: str
) -> None:
    arguments: dict[str, float] = {setting: value}
    with pytest.raises(SettingsError) as caught:
        train_distillation(make_student(), teacher, queries, **arguments)  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_asked_for_and_given_back(
    teacher: MultiHeadLDA, queries: Floats, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Torch's own choice is up to five times slower on a busy machine."""
    seen: set[int] = set()
    step = Learner.step

    def spied(self: Learner, loss: torch.Tensor) -> None:
        seen.add(torch.get_num_threads())
        step(self, loss)

    monkeypatch.setattr(Learner, "step", spied)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        train_distillation(make_student(), teacher, queries, num_epochs=1, threads=threads)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert seen == {threads}
