"""The training loop: epochs of batches, as a generator of events."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from distill_core.config import MseReduction, TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.errors import TrainingError
from distill_core.students import Student
from distill_core.training.events import EpochFinished, StepsFinished, Terms
from distill_core.training.loop.batches import Batches, LabelledQueries
from distill_core.training.loop.learner import Learner
from distill_core.training.loop.loss import TermSums, distillation_loss, mse_gradient_share

_EVENT_SECONDS = 0.1
_LOOK_STEPS = 50
"""The loss is judged over this many steps, and at the end of each epoch: never over a time, which would let
the speed of a machine decide how a run ends."""
_EXPLOSION = 1000.0
"""A loss this many times that of the first step will not come back."""
_COUNTERS = (
    "step",
    "epochs_done",
    "best_epoch",
    "_samples",
    "_train_seconds",
    "active_seconds",
    "_first_loss",
)


class Trainer:
    """Teaches a student the labels of its queries.

    Iterating trains; to stop is to stop pulling. Time between two events that the consumer spends (a
    pause) counts nowhere. All randomness comes from `random_state`. At every event the whole state can be
    taken (`state_dict`); another trainer of the same settings goes on from it, to the same weights on a CPU.

    Args:
        learner: The student with what changes it.
        batches: What it learns from.
        validation: What is watched, on the learner's device; the lowest loss there tells the best weights.
        settings: Resolved (`recipes.resolve`).
        random_state: Drawn from by batches and dropout.
        patience_epochs: Epochs without a better validation after which training ends; None goes on.
    """

    def __init__(
        self,
        learner: Learner,
        batches: Batches,
        validation: LabelledQueries | None,
        settings: TrainingConfig,
        random_state: OwnRandomState,
        patience_epochs: int | None = None,
    ) -> None:
        if settings.epochs is None or settings.mse_reduction is None:
            raise ValueError("the settings are not resolved")
        self.learner = learner
        self.epochs = settings.epochs
        self._batches = batches
        self._validation = validation
        self._random = random_state
        self._patience_epochs = patience_epochs
        self._loss_settings: tuple[float, MseReduction] = settings.cosine_weight, settings.mse_reduction
        self._totals = TermSums(random_state.device)
        self._looked_at = TermSums(random_state.device)
        """The part of the totals whose loss has been judged."""
        self.step = 0
        self.epochs_done = 0
        self.best_epoch = 0
        self.total_steps = settings.epochs * batches.per_epoch
        self._first_loss = math.inf
        self._lost = ""
        self._scale = 1.0
        """What the outputs on the validation queries are multiplied by to be nearest to the teacher's."""
        self._samples = 0
        self._train_seconds = 0.0
        self.active_seconds = 0.0

    def __iter__(self) -> Iterator[StepsFinished | EpochFinished]:
        while self.epochs_done < self.epochs and not self._is_out_of_patience:
            yield from self._epoch()

    @property
    def student(self) -> Student:
        """The student to keep: with `book` the one that learns, with `strong` the best one validated."""
        return cast(Student, self.learner.best)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps and events depend on, as tensors, numbers and containers."""
        return {
            "learner": self.learner.state_dict(),
            "batches": self._batches.state_dict(),
            "random": self._random.state_dict(),
            "totals": self._totals.state_dict(),
            "looked_at": self._looked_at.state_dict(),
            "counters": {name: getattr(self, name) for name in _COUNTERS},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of a trainer with the same settings."""
        self.learner.load_state_dict(state["learner"])
        self._batches.load_state_dict(state["batches"])
        self._random.load_state_dict(state["random"])
        self._totals.load_state_dict(state["totals"])
        self._looked_at.load_state_dict(state.get("looked_at", state["totals"]))
        for name in _COUNTERS:
            setattr(self, name, state["counters"][name])

    @property
    def _is_out_of_patience(self) -> bool:
        return (
            self._patience_epochs is not None and self.epochs_done - self.best_epoch >= self._patience_epochs
        )

    def _epoch(self) -> Iterator[StepsFinished | EpochFinished]:
        """Train to the end of the epoch, from its start or from where a state left it."""
        per_epoch = self._batches.per_epoch
        if self.step == self.epochs_done * per_epoch:
            self._totals.clear()
            self._looked_at.clear()
            with self._random:
                self._batches.start_epoch()
        done = self.step - self.epochs_done * per_epoch
        while done < per_epoch:
            started = time.perf_counter()
            before = self._totals.copy()
            with self._random:
                done = self._steps(done)
            terms = self._totals.means_since(before)
            self._count_time(started, training=True)
            if done < per_epoch:
                yield self._steps_finished(self.epochs_done + done / per_epoch, terms)
            self._require_sound()
        finished = self._finish_epoch()
        if finished.validation is not None:  # the last step may have lost the weights, its loss tells nothing
            self._look_at(finished.validation)
        yield finished
        self._require_sound()

    def _steps(self, done: int) -> int:
        """Train on batches from `done` on, for 100 ms or until the loss is lost; return how many are done."""
        self.learner.trained.train()
        deadline = time.perf_counter() + _EVENT_SECONDS
        while done < self._batches.per_epoch:
            self._step(self._batches.next())
            done += 1
            if done % _LOOK_STEPS == 0 or done == self._batches.per_epoch:
                self._look_at(self._totals.means_since(self._looked_at))
                self._looked_at = self._totals.copy()
            if self._lost or time.perf_counter() >= deadline:
                break
        return done

    def _step(self, batch: LabelledQueries) -> None:
        terms = distillation_loss(self.learner.predict(batch.queries), batch.targets, *self._loss_settings)
        if self.step == 0:
            self._first_loss = float(terms.loss.detach())
        self.learner.step(terms.loss)
        self._totals.add(*terms)
        self.step += 1
        self._samples += len(batch)

    def _finish_epoch(self) -> EpochFinished:
        self.epochs_done += 1
        finished = self._epoch_finished(self.epochs_done, self._totals.means())
        if finished.validation is not None and self.learner.keep_best(finished.validation.loss, self._scale):
            self.best_epoch = self.epochs_done
        return finished

    def _validate(self) -> tuple[Terms | None, float | None]:
        """Return the terms of the validation queries, and the MSE term's share in the gradient there."""
        if self._validation is None:
            return None, None
        started = time.perf_counter()
        self.learner.validated.eval()
        sums = TermSums(self._random.device)
        with torch.inference_mode():
            predicted = self.learner.validated(self._validation.queries)
            sums.add(*distillation_loss(predicted, self._validation.targets, *self._loss_settings))
            self._scale = _best_scale(predicted, self._validation.targets)
            share = float(mse_gradient_share(predicted, self._validation.targets, *self._loss_settings))
            terms = sums.means()
        self._count_time(started)
        return terms, share

    def _count_time(self, started: float, *, training: bool = False) -> None:
        seconds = time.perf_counter() - started
        self.active_seconds += seconds
        if training:
            self._train_seconds += seconds

    @property
    def _samples_per_second(self) -> float:
        return self._samples / self._train_seconds if self._train_seconds else 0.0

    @property
    def _eta_seconds(self) -> float:
        return self.active_seconds / max(self.step, 1) * (self.total_steps - self.step)

    def _steps_finished(self, epoch: float, terms: Terms) -> StepsFinished:
        return StepsFinished(
            step=self.step,
            epoch=epoch,
            train=terms,
            samples_per_second=self._samples_per_second,
            active_seconds=self.active_seconds,
            eta_seconds=self._eta_seconds,
        )

    def _epoch_finished(self, epoch: int, terms: Terms) -> EpochFinished:
        validation, share = self._validate()
        return EpochFinished(
            epoch=epoch,
            step=self.step,
            train=terms,
            validation=validation,
            mse_gradient_share=share,
            learning_rate=self.learner.learning_rate,
            samples_per_second=self._samples_per_second,
            active_seconds=self.active_seconds,
            eta_seconds=self._eta_seconds,
        )

    @property
    def is_sound(self) -> bool:
        """Whether nothing is lost: no loss exploded, and every weight is a number. Waits for the device."""
        weights = self.learner.student.state_dict().values()
        lost = self._lost or self._what_is_lost(self._totals.means_since(self._looked_at))
        return not lost and all(bool(torch.isfinite(weight).all()) for weight in weights)

    def _look_at(self, terms: Terms) -> None:
        """Note a loss that will not come back, before the event is told: nobody should keep such weights."""
        self._lost = self._lost or self._what_is_lost(terms)

    def _what_is_lost(self, terms: Terms) -> str:
        if not math.isfinite(terms.loss):
            return "is not a number any more"
        return "has exploded" if terms.loss > _EXPLOSION * max(self._first_loss, 1.0) else ""

    def _require_sound(self) -> None:
        if self._lost:
            raise TrainingError(
                f"The loss {self._lost} at step {self.step}.",
                f"Lower the learning rate (now {self.learner.learning_rate:.3g}).",
            )


def _best_scale(predicted: Tensor, targets: Tensor) -> float:
    """Return the factor on predictions (n, d) with the least squared error to targets (n, d)."""
    factor = (predicted * targets).sum() / predicted.square().sum().clamp_min(1e-30)
    return float(factor)
