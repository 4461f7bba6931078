"""A student and what changes its weights: the optimiser, its schedule, clipping, the running average."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import get_ema_multi_avg_fn

from distill_core.config import TrainingConfig
from distill_core.errors import TrainingError
from distill_core.students.networks.student import Student

_STRONG_BETAS = (0.9, 0.95)
_WARM_UP = 0.02
_HALF_RATE = 0.1
_MAX_GRADIENT_NORM = 1.0
_AVERAGE_EVERY_STEPS = 5
_AVERAGE_OVER_STEPS = 50


class Learner:
    """Takes the steps of one recipe.

    `book` is AdamW with torch's defaults at a fixed learning rate, on the student as it is. `strong` is AdamW
    with a shorter memory on the student's training form, a learning rate that warms up and decays
    (`rate_share`) and clipped gradients; it validates a running average of the weights and keeps the best.

    Attributes:
        trained: What is called in training; its parameters are the student's own, or views of them.
        validated: What is called in validation.
        best: The student to keep: with `book` the one that learns, with `strong` the best one validated.

    Args:
        student: On its device; changed in place.
        settings: Resolved (`recipes.resolve`).
        total_steps: Length of the schedule.
    """

    def __init__(self, student: nn.Module, settings: TrainingConfig, total_steps: int) -> None:
        if settings.learning_rate is None:
            raise ValueError("the settings are not resolved")
        rate = settings.learning_rate
        self.student = student
        self.trained = self.validated = self.best = student
        self._strong = settings.recipe == "strong"
        self._schedule: LambdaLR | None = None
        self._steps = 0
        self._autocast: AbstractContextManager[object] = nullcontext()
        self._lowest_loss = float("inf")
        self._project: Callable[[Tensor], Tensor]
        if not self._strong:
            self._optimizer = torch.optim.AdamW(student.parameters(), lr=rate, fused=True)
            self._project = compiled(self.trained) if settings.compiled else self.trained
            return
        self.validated, self.best = copy.deepcopy(student), copy.deepcopy(student)
        self.trained, average = _training_form(student), _training_form(self.validated)
        self._project = compiled(self.trained) if settings.compiled else self.trained
        self._weights = [weight.detach() for weight in self.trained.parameters()]
        self._averages = [weight.detach() for weight in average.parameters()]
        kept = 1.0 - _AVERAGE_EVERY_STEPS / _AVERAGE_OVER_STEPS
        self._average = get_ema_multi_avg_fn(kept)  # type: ignore[no-untyped-call]
        self._optimizer = torch.optim.AdamW(
            self.trained.parameters(), lr=rate, betas=_STRONG_BETAS, fused=True
        )
        self._schedule = LambdaLR(self._optimizer, partial(rate_share, total_steps=total_steps))
        if next(student.parameters()).device.type == "cuda":
            self._autocast = torch.autocast("cuda", torch.bfloat16)

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def predict(self, queries: Tensor) -> Tensor:
        """Return the projections (batch, d) in float32, for a loss."""
        with self._autocast:
            predicted = self._project(queries)
        return predicted.float() if self._strong else predicted

    def step(self, loss: Tensor) -> None:
        """Change the weights once; never waits for the device."""
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        if self._schedule is None:
            self._optimizer.step()
            return
        self._clip()
        self._optimizer.step()
        self._schedule.step()
        self._steps += 1
        if self._steps % _AVERAGE_EVERY_STEPS == 0:
            self._average(self._averages, self._weights, 0)

    def _clip(self) -> None:
        weights = list(self.trained.parameters())
        norm = get_total_norm([weight.grad for weight in weights if weight.grad is not None], foreach=True)
        # Asking an accelerator for the norm would wait for it; a CPU saves a pass over all gradients.
        if norm.device.type != "cpu" or float(norm) > _MAX_GRADIENT_NORM:
            clip_grads_with_norm_(weights, _MAX_GRADIENT_NORM, norm, foreach=True)

    def keep_best(self, validation_loss: float, scale: float = 1.0) -> bool:
        """Keep the validated weights if their loss is the lowest so far; return whether it is.

        Args:
            validation_loss: Of the validated weights.
            scale: For the output of what is kept: the loss is nearly all about direction, this about length.
        """
        better = validation_loss < self._lowest_loss
        if better:
            self._lowest_loss = validation_loss
            if self.best is not self.validated:
                self.best.load_state_dict(self.validated.state_dict())
                if isinstance(self.best, Student) and scale > 0:
                    self.best.scale_output(scale)
        return better

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        state: dict[str, Any] = {
            "student": self.student.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "lowest_loss": self._lowest_loss,
        }
        if self._schedule is not None:
            state |= {
                "steps": self._steps,
                "schedule": self._schedule.state_dict(),
                "average": self.validated.state_dict(),
                "best": self.best.state_dict(),
            }
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.student.load_state_dict(state["student"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._lowest_loss = state["lowest_loss"]
        if self._schedule is not None:
            self._steps = state["steps"]
            self._schedule.load_state_dict(state["schedule"])
            self.validated.load_state_dict(state["average"])
            self.best.load_state_dict(state["best"])


def rate_share(step: int, total_steps: int) -> float:
    """Return the share of the highest learning rate at a step, counted from 0.

    It rises to 1 over 2 % of the steps, and falls as `1 / (1 + (step / (total_steps / 10))^2)`: half at a
    tenth of the steps, a hundredth at the end. With an average over the weights that is as good at the end
    as a cosine, and much earlier nearly as good (docs/recipe.md).
    """
    rise = min(1.0, (step + 1) / max(1.0, _WARM_UP * total_steps))
    return rise / (1.0 + (step / (_HALF_RATE * total_steps)) ** 2)


def _training_form(student: nn.Module) -> nn.Module:
    return student.training_form() if isinstance(student, Student) else student


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the network through torch.compile; it is compiled when it is first called.

    Raises:
        TrainingError: When called, if torch cannot compile on this machine, for example without a compiler.
    """
    module = cast(Callable[[Tensor], Tensor], torch.compile(network))
    first = True

    def call(queries: Tensor) -> Tensor:
        nonlocal first
        try:
            projected = module(queries)
        except (RuntimeError, ImportError, OSError) as error:
            if not first or isinstance(error, torch.OutOfMemoryError):
                raise
            raise TrainingError(
                f"torch.compile does not work on this machine ({type(error).__name__}).",
                "Train without it, or install a C++ compiler.",
            ) from error
        first = False
        return projected

    return call
