"""The training loop: epochs over the stored queries, as a generator of events."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill_core.config import MseReduction, TrainingConfig
from distill_core.errors import TrainingError
from distill_core.training.events import EpochFinished, StepsFinished, Terms
from distill_core.training.loss import distillation_loss, mse_gradient_share
from distill_core.training.random_state import OwnRandomState

_EVENT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """Queries (n, d) and the teacher's projections of them (n, d), on one device."""

    queries: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.queries)


class _TermSums:
    """Sums of loss, mse and cosine, kept on the device so that a step never waits for it."""

    def __init__(self, device: torch.device) -> None:
        self._sums = torch.zeros(3, device=device)
        self._count = 0

    def add(self, loss: Tensor, mse: Tensor, cosine: Tensor) -> None:
        self._sums += torch.stack((loss.detach() * len(mse), mse.detach().sum(), cosine.detach().sum()))
        self._count += len(mse)

    def merge(self, other: _TermSums) -> None:
        self._sums += other._sums
        self._count += other._count

    def means(self) -> Terms:
        loss, mse, cosine = (self._sums / max(self._count, 1)).tolist()
        return Terms(loss=loss, mse=mse, cosine=cosine)


class Trainer:
    """Teaches a student the labels of its queries, by the published recipe.

    Iterating trains; to stop is to stop pulling. Time between two events that the consumer spends (a
    pause) counts nowhere. All randomness comes from `random_state`.
    """

    def __init__(
        self,
        student: nn.Module,
        train: LabelledQueries,
        validation: LabelledQueries | None,
        settings: TrainingConfig,
        random_state: OwnRandomState,
    ) -> None:
        self.student = student
        self.settings = settings
        self._train = train
        self._validation = validation
        self._random = random_state
        self._device = train.queries.device
        self._optimizer = torch.optim.AdamW(student.parameters(), lr=settings.learning_rate, fused=True)
        self.step = 0
        self.epochs_done = 0
        self.total_steps = settings.epochs * math.ceil(len(train) / settings.batch_size)
        self._samples = 0
        self._train_seconds = 0.0
        self.active_seconds = 0.0

    def __iter__(self) -> Iterator[StepsFinished | EpochFinished]:
        for epoch in range(1, self.settings.epochs + 1):
            yield from self._epoch(epoch)

    def _epoch(self, epoch: int) -> Iterator[StepsFinished | EpochFinished]:
        with self._random:
            order = torch.randperm(len(self._train)).to(self._device)
        batches = torch.split(order, self.settings.batch_size)
        totals = _TermSums(self._device)
        done = 0
        while done < len(batches):
            started = time.perf_counter()
            recent = _TermSums(self._device)
            with self._random:
                done = self._steps(batches, done, recent)
            terms = recent.means()
            self._count_time(started, training=True)
            totals.merge(recent)
            if done < len(batches):
                yield self._steps_finished(epoch - 1 + done / len(batches), terms)
            self._require_finite(terms)
        self.epochs_done = epoch
        finished = self._epoch_finished(epoch, totals.means())
        yield finished
        if finished.validation is not None:  # the last step may have lost the weights, its loss tells nothing
            self._require_finite(finished.validation)

    def _steps(self, batches: Sequence[Tensor], done: int, sums: _TermSums) -> int:
        """Train on batches from `done` on until 100 ms are over; return how many are done."""
        self.student.train()
        deadline = time.perf_counter() + _EVENT_SECONDS
        while done < len(batches):
            rows = batches[done]
            self._step(self._train.queries[rows], self._train.targets[rows], sums)
            done += 1
            if time.perf_counter() >= deadline:
                break
        return done

    def _step(self, queries: Tensor, targets: Tensor, sums: _TermSums) -> None:
        terms = distillation_loss(self.student(queries), targets, *self._loss_settings)
        self._optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(terms.loss)
        self._optimizer.step()
        sums.add(*terms)
        self.step += 1
        self._samples += len(queries)

    def _validate(self) -> tuple[Terms | None, float | None]:
        """Return the terms of the validation queries, and the MSE term's share in the gradient there."""
        if self._validation is None:
            return None, None
        started = time.perf_counter()
        self.student.eval()
        sums = _TermSums(self._device)
        with torch.inference_mode():
            predicted = self.student(self._validation.queries)
            sums.add(*distillation_loss(predicted, self._validation.targets, *self._loss_settings))
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
    def _loss_settings(self) -> tuple[float, MseReduction]:
        return self.settings.cosine_weight, self.settings.mse_reduction

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
            learning_rate=float(self._optimizer.param_groups[0]["lr"]),
            samples_per_second=self._samples_per_second,
            active_seconds=self.active_seconds,
            eta_seconds=self._eta_seconds,
        )

    def _require_finite(self, terms: Terms) -> None:
        if not math.isfinite(terms.loss):
            raise TrainingError(
                f"The loss is not a number any more at step {self.step}.",
                f"Lower the learning rate (now {self.settings.learning_rate:g}).",
            )
