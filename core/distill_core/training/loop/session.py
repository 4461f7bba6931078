"""One run from its settings to its verdict."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState, cpu_threads, resolve_device
from distill_core.errors import VectorError
from distill_core.evaluation.baselines import Baseline
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.latency.conditions import TimedCost
from distill_core.latency.events import LatencyFinished
from distill_core.latency.timing.machine import conditions_here
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training.events import BaselineFitted, EpochFinished, RunStarted, TrainEvent
from distill_core.training.judging import fit_ladder, judge_student, with_own_words
from distill_core.training.loop.batches import LabelledQueries
from distill_core.training.loop.training_setup import Training, book_trainer, make_training
from distill_core.training.recipes import resolve


class Progress(NamedTuple):
    """How far a training is."""

    step: int
    epoch: int


class TrainingSession:
    """A run that can be iterated once, and that keeps the student and its data for what comes after.

    Args:
        config: The settings.
        state: Of an earlier session with the same settings, to go on from.
        data: What the settings give, where it is read already.

    Attributes:
        config: The settings of the run; from the first event on with nothing left to the recipe.
        data: The teacher and its labelled queries, from the first event on.
        baselines: The rungs of the ladder that are fitted so far.
    """

    def __init__(
        self, config: RunConfig, state: dict[str, Any] | None = None, data: TeacherData | None = None
    ) -> None:
        self.config = config
        self._state = state
        self.data = data
        self.baselines: list[Baseline] = []
        self._trainer: Training | None = None

    @property
    def student(self) -> Student | None:
        """The student, from the first event on: its best weights so far, with `book` the last."""
        return self._trainer.student if self._trainer else None

    @property
    def progress(self) -> Progress:
        """How far the training is; nothing is done before the first event."""
        trainer = self._trainer
        return Progress(0, 0) if trainer is None else Progress(trainer.step, trainer.epochs_done)

    @property
    def is_sound(self) -> bool:
        """Whether the weights are worth keeping: all of them numbers, and no loss exploded."""
        return self._trainer is not None and self._trainer.is_sound

    def state_dict(self) -> dict[str, Any] | None:
        """Return all that the training depends on, to go on from; None before the first event."""
        return None if self._trainer is None else self._trainer.state_dict()

    def __iter__(self) -> Iterator[TrainEvent]:
        """Fit the ladder, train, then judge on the test queries.

        Raises:
            DistillError: The settings, the database or the device cannot be used, or the loss is lost.
        """
        device = resolve_device(self.config.training.device)
        with cpu_threads(self.config.training.threads):
            yield from self._run(device)

    def _run(self, device: torch.device) -> Iterator[TrainEvent]:
        seed = self.config.training.seed
        if self.data is None:
            self.data = load_teacher_data(self.config.data, self.config.split)
        data = self.data
        self.config.student.check(data.teacher.dimension)
        self.config = resolve(self.config, len(data.split.train))
        random_state = OwnRandomState(seed, device)
        with random_state:
            trainer = self._trainer = make_training(self.config, data, random_state)
        if self._state is not None:
            trainer.load_state_dict(self._state)
            self._state = None
        yield self._started(data, trainer, device)
        yield from self._fit_ladder(data)
        yield from trainer
        yield from self.conclude()

    def _started(self, data: TeacherData, trainer: Training, device: torch.device) -> RunStarted:
        teacher, split = data.teacher, data.split
        return RunStarted(
            config=self.config,
            num_heads=teacher.num_heads,
            dimension=teacher.dimension,
            temperature=teacher.temperature,
            num_train=len(split.train),
            num_validation=len(split.validation),
            num_test=len(split.test),
            total_steps=trainer.total_steps,
            student_parameters=trainer.student.num_parameters,
            teacher_parameters=lda_cost(teacher.num_heads, teacher.dimension).parameters,
            device=str(device),
            threads=torch.get_num_threads(),
        )

    def _fit_ladder(self, data: TeacherData) -> Iterator[BaselineFitted]:
        queries, targets = data.queries[data.watched], data.targets[data.watched]
        for rung in fit_ladder(data, self.config.training.seed):
            self.baselines.append(rung)
            cosine = float(cosine_similarities(rung.predict(queries), targets).mean())
            yield BaselineFitted(name=rung.name, label=rung.label, validation_cosine=cosine)

    def conclude(self, measured: LatencyFinished | None = None) -> Iterator[TrainEvent]:
        """Judge the student as it is now on the test queries; also after a run that was stopped early.

        Args:
            measured: A latency record, which decides on the cost if it is of this student, and sound.
        """
        student, trainer = self.student, self._trainer
        if self.data is None or student is None or trainer is None:
            return
        trained = trainer.epochs_done, trainer.active_seconds
        project = student.fold().project
        built = self.config.student.of_shape(student.shape)  # its fit may have chosen what it costs
        config = self.config.with_values(student=built)
        timed = None if measured is None else self._timed(measured, student, self.data.teacher)
        judged = judge_student(self.data, config, project, self.baselines, trained, timed)
        yield from with_own_words(judged, student)

    def _timed(self, measured: LatencyFinished, student: Student, teacher: MultiHeadLDA) -> TimedCost:
        training = self.config.training
        wanted = conditions_here(teacher, student, device=training.device, threads=training.threads)
        return TimedCost(measured, wanted)


def train(config: RunConfig) -> Iterator[TrainEvent]:
    """Train a student as `config` says; the last event holds the evaluation on the held-out test queries.

    Raises:
        DistillError: The settings, the database or the device cannot be used, or the loss is lost.
    """
    return iter(TrainingSession(config))


def train_distillation(  # noqa: PLR0913 - the published signature
    student: Student,
    teacher: MultiHeadLDA,
    queries: ArrayLike,
    num_epochs: int = 200,
    cosine_weight: float = 0.7,
    learning_rate: float = 1e-4,
    *,
    batch_size: int = 32,
    seed: int = 0,
    threads: int = 1,
) -> dict[str, list[float]]:
    """Train a student in place on every query (n, d), by the published recipe, on the student's device.

    Nothing is held out here: keep queries back to judge the student. More CPU `threads` than one are only
    faster where nothing else wants the cores.

    Returns:
        `loss`, `mse` and `cosine`, each the means of the epochs.

    Raises:
        DistillError: A setting is out of range, the queries do not fit, or the loss is lost.
    """
    settings = TrainingConfig(
        recipe="book",
        epochs=num_epochs,
        cosine_weight=cosine_weight,
        learning_rate=learning_rate,
        batch_size=batch_size,
        seed=seed,
        threads=threads,
    )
    device = next(student.parameters()).device
    rows = np.array(queries, dtype=np.float32)
    if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != student.embed_dim:
        raise VectorError(
            f"Queries of shape {rows.shape} cannot train a student of dimension {student.embed_dim}.",
            f"Pass an array (n, {student.embed_dim}) with n >= 1.",
        )
    labelled = LabelledQueries(
        torch.from_numpy(rows).to(device), torch.from_numpy(teacher.project(rows)).to(device)
    )
    trainer = book_trainer(student, labelled, None, settings, OwnRandomState(seed, device))
    with cpu_threads(settings.threads):
        epochs = [event.train for event in trainer if isinstance(event, EpochFinished)]
    return {
        "loss": [terms.loss for terms in epochs],
        "mse": [terms.mse for terms in epochs],
        "cosine": [terms.cosine for terms in epochs],
    }
