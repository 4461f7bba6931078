"""Training through torch.compile: the same training, and one sentence where torch cannot compile."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from distill_core.config import Recipe, TrainingConfig
from distill_core.errors import TrainingError
from distill_core.training.loop.learner import Learner
from distill_core.training.loop.loss import distillation_loss
from tests.core.students.test_encoder import make_student


def trained(*, compiled: bool, recipe: Recipe) -> list[Tensor]:
    torch.manual_seed(3)
    settings = TrainingConfig(recipe=recipe, learning_rate=0.01, compiled=compiled)
    learner = Learner(make_student(dropout=0.0), settings, total_steps=4)
    for _ in range(4):
        queries, targets = torch.randn(5, 8), torch.randn(5, 8)
        learner.step(distillation_loss(learner.predict(queries), targets).loss)
    return [weight.detach() for weight in learner.student.parameters()]


@pytest.mark.parametrize("recipe", ["strong", "book"])
def test_training_is_traced_and_learns_the_same(monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    """The real trace, without the C++ compiler behind it."""
    plain = trained(compiled=False, recipe=recipe)
    calls: list[nn.Module] = []

    def traced(network: nn.Module) -> object:
        calls.append(network)
        return compile_with(network)

    compile_with: Callable[[nn.Module], object] = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", traced)
    for mine, expected in zip(trained(compiled=True, recipe=recipe), plain, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)
    assert len(calls) == 1


def test_without_a_compiler_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: nn.Module) -> Callable[[Tensor], Tensor]:
        def call(_: Tensor) -> Tensor:
            raise RuntimeError("No working C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(TrainingError, match=r"torch\.compile does not work on this machine") as raised:
        trained(compiled=True, recipe="strong")
    assert "Train without it" in raised.value.hint


def test_what_fails_later_is_not_blamed_on_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_second(network: nn.Module) -> Callable[[Tensor], Tensor]:
        left = iter((True,))

        def call(queries: Tensor) -> Tensor:
            if not next(left, False):
                raise RuntimeError("something else")
            projected: Tensor = network(queries)
            return projected

        return call

    monkeypatch.setattr(torch, "compile", fails_second)
    with pytest.raises(RuntimeError, match="something else"):
        trained(compiled=True, recipe="strong")
