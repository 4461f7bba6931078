"""A training step queues its work and never waits for the device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from distill_core.config import DataConfig, Device, Recipe, RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.students.kinds import student_settings
from distill_core.teacher_data import load_teacher_data
from distill_core.training.loop import learner
from distill_core.training.loop.trainer import Trainer
from distill_core.training.loop.training_setup import make_trainer
from distill_core.training.recipes import resolve
from tests.core.database_factory import write_lda_db

WAITING = ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "__index__")
"""What asks a tensor for its values, for which an accelerator would have to finish first."""

CASES = [("strong", "encoder"), ("strong", "memory"), ("strong", "mlp"), ("book", "encoder")]


def new_trainer(tmp_path: Path, recipe: Recipe, kind: str, device: Device) -> Trainer:
    config = RunConfig(
        data=DataConfig(database=str(write_lda_db(tmp_path / "db", questions_per_head=10))),
        student=student_settings(kind, {"heads": 2, "layers": 1, "ff_dim": 12, "slots": 3}),
        training=TrainingConfig(recipe=recipe, epochs=3, batch_size=8, device=device),
    )
    data = load_teacher_data(config.data, config.split)
    random_state = OwnRandomState(0, torch.device(device))
    with random_state:
        trainer = make_trainer(resolve(config, len(data.split.train)), data, random_state)
        trainer._batches.start_epoch()
    return trainer


def steps(trainer: Trainer, count: int) -> None:
    for _ in range(count):
        if trainer.step % trainer._batches.per_epoch == 0:
            trainer._batches.start_epoch()
        trainer._step(trainer._batches.next())


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Makes every look at a tensor's values fail, where it is used."""
    with monkeypatch.context() as patch:
        yield patch


def refuse(patch: pytest.MonkeyPatch) -> None:
    for name in WAITING:

        def waits(*_: object, name: str = name, **__: object) -> None:
            raise AssertionError(f"Tensor.{name} waits for the device")

        patch.setattr(Tensor, name, waits)


@pytest.mark.parametrize(("recipe", "kind"), CASES)
def test_no_step_but_the_first_looks_at_a_value(
    tmp_path: Path, refusal: pytest.MonkeyPatch, recipe: Recipe, kind: str
) -> None:
    """The first one reads its loss, against which an explosion is measured."""
    trainer = new_trainer(tmp_path, recipe, kind, "cpu")
    steps(trainer, 1)
    # On a CPU the norm is looked at, which saves a pass; an accelerator clips without a look.
    refusal.setattr(learner.Learner, "_clip", clip_without_a_look)
    # Torch's own code of an optimiser on a CPU keeps its count of steps there, and reads it.
    refusal.setattr(trainer.learner._optimizer, "step", lambda: None)
    refuse(refusal)
    with pytest.raises(AssertionError, match="waits for the device"):
        torch.ones(1).item()
    steps(trainer, 12)


def clip_without_a_look(self: learner.Learner) -> None:
    weights = list(self.trained.parameters())
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients, foreach=True)
    torch.nn.utils.clip_grads_with_norm_(weights, 1.0, norm, foreach=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("recipe", "kind"), CASES)
def test_no_step_waits_for_a_cuda_device(tmp_path: Path, recipe: Recipe, kind: str) -> None:
    trainer = new_trainer(tmp_path, recipe, kind, "cuda")
    steps(trainer, 2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        steps(trainer, 12)
    finally:
        torch.cuda.set_sync_debug_mode("default")
