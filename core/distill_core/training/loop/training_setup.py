"""A trainer as the settings and the data ask for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from distill_core.config import RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState
from distill_core.evaluation.held_out import HeldOut
from distill_core.students import Student, new_student
from distill_core.students.networks.torch_teacher import TorchTeacher
from distill_core.teacher_data import TeacherData
from distill_core.training.events import EpochFinished, StepsFinished
from distill_core.training.loop.batches import DrawnBatches, LabelledQueries, QuerySampler, StoredBatches
from distill_core.training.loop.learner import Learner
from distill_core.training.loop.routed import RoutedTraining
from distill_core.training.loop.trainer import Trainer
from distill_core.training.recipes import resolve_training, strong_steps_per_epoch

MakeTraining = Callable[[RunConfig, TeacherData, OwnRandomState], "Training"]

OWN_TRAININGS: dict[str, MakeTraining] = {"routed": RoutedTraining}
"""By the name of a kind of student that does not learn by gradients: what makes its training.

Its network need not be a torch module: who trains, judges, saves and times it asks for what `Training` and
`Student` declare.
"""

_PATIENCE = 0.5
_FIRST_QUERIES = 512


class Training(Protocol):
    """What a run iterates: rounds of learning as events, each a whole state to go on from."""

    step: int
    epochs_done: int
    total_steps: int
    active_seconds: float

    @property
    def student(self) -> Student:
        """The student to keep: the best so far."""

    @property
    def is_sound(self) -> bool:
        """Whether its weights are all numbers."""

    def __iter__(self) -> Iterator[StepsFinished | EpochFinished]:
        """Learn; to stop is to stop pulling."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next steps depend on, as tensors, numbers and containers."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state of the same settings."""


def make_training(config: RunConfig, data: TeacherData, random_state: OwnRandomState) -> Training:
    """Return the training of a kind of student: its own, or that by gradients."""
    make = OWN_TRAININGS.get(config.student.kind, make_trainer)
    return make(config, data, random_state)


def make_trainer(config: RunConfig, data: TeacherData, random_state: OwnRandomState) -> Trainer:
    """Build student, batches and trainer on the random state's device, with torch's current random numbers.

    Args:
        config: Resolved (`recipes.resolve`).
        data: The teacher and the split queries; test queries are not looked at.
        random_state: For the training itself.
    """
    settings, device = config.training, random_state.device
    assert settings.batch_size is not None
    assert settings.epochs is not None
    strong = settings.recipe == "strong"
    teacher = data.teacher
    student = new_student(config.student, teacher.dimension, teacher.num_heads)
    if strong or student.STARTS_AS_TEACHER:
        student.start_from(teacher, settings.seed)
    student.to(device)
    train = _on_device(data.held_out(data.split.train), device)
    validation = _on_device(data.held_out(data.watched), device)
    if not strong:
        return book_trainer(student, train, validation, settings, random_state)
    batches = _drawn_batches(data, train, settings.batch_size)
    _match_length(student, batches, settings.batch_size)
    learner = Learner(student, settings, settings.epochs * batches.per_epoch)
    patience = max(1, math.ceil(_PATIENCE * settings.epochs))
    return Trainer(learner, batches, validation, settings, random_state, patience)


def book_trainer(
    student: nn.Module,
    train: LabelledQueries,
    validation: LabelledQueries | None,
    settings: TrainingConfig,
    random_state: OwnRandomState,
) -> Trainer:
    """Return the published recipe on stored queries: a trainer of any network from (batch, d) to (batch, d).

    Args:
        student: Trained in place.
        train: Learnt from.
        validation: Watched, if there is one.
        settings: With the recipe `book`; what is None takes its values.
        random_state: On the device of all of them.
    """
    settings = resolve_training(settings, len(train))
    assert settings.batch_size is not None
    assert settings.epochs is not None
    batches = StoredBatches(train, settings.batch_size)
    learner = Learner(student, settings, settings.epochs * batches.per_epoch)
    return Trainer(learner, batches, validation, settings, random_state)


def _drawn_batches(data: TeacherData, train: LabelledQueries, batch_size: int) -> DrawnBatches:
    teacher = TorchTeacher(data.teacher, train.queries.device)
    per_epoch = strong_steps_per_epoch(len(train), batch_size)
    centroids = torch.tensor(data.teacher.unit_centroids(), device=teacher.device)
    return DrawnBatches(QuerySampler(train.queries, centroids, train.weights), teacher, batch_size, per_epoch)


@torch.no_grad()
def _match_length(student: Student, batches: DrawnBatches, batch_size: int) -> None:
    """Scale the untrained student's output to the mean length of the teacher's."""
    drawn = [batches.next() for _ in range(max(1, _FIRST_QUERIES // batch_size))]
    queries, targets = (torch.cat([getattr(part, name) for part in drawn]) for name in ("queries", "targets"))
    length = float(student(queries).norm(dim=1).mean())
    if length > 0:
        student.scale_output(float(targets.norm(dim=1).mean()) / length)


def _on_device(part: HeldOut, device: torch.device) -> LabelledQueries:
    return LabelledQueries(
        torch.from_numpy(part.queries).to(device),
        torch.from_numpy(part.targets).to(device),
        None if part.weights is None else torch.from_numpy(part.weights.astype(np.float32)).to(device),
    )
