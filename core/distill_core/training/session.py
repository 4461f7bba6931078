"""One run from its settings to its verdict."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from distill_core.architecture import lda_cost
from distill_core.config import RunConfig, require_divisible
from distill_core.devices import cpu_threads, resolve_device
from distill_core.evaluation.baselines import Baseline
from distill_core.evaluation.held_out import HeldOut
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.latency.events import LatencyFinished
from distill_core.students import ProjectionTransformer
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training.events import BaselineFitted, RunStarted, TrainEvent
from distill_core.training.judging import fit_ladder, judge_student
from distill_core.training.random_state import OwnRandomState
from distill_core.training.trainer import LabelledQueries, Trainer


class TrainingSession:
    """A run that can be iterated once, and that keeps the student and its data for what comes after.

    Attributes:
        config: The settings of the run.
        data: The teacher and its labelled queries, from the first event on.
        student: The student, from the first event on; its weights are those of the last step.
        baselines: The rungs of the ladder that are fitted so far.
    """

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.data: TeacherData | None = None
        self.student: ProjectionTransformer | None = None
        self.baselines: list[Baseline] = []
        self._trainer: Trainer | None = None

    def __iter__(self) -> Iterator[TrainEvent]:
        """Fit the ladder, train, then judge on the test queries.

        Raises:
            DistillError: The settings, the database or the device cannot be used, or the loss is lost.
        """
        device = resolve_device(self.config.training.device)
        with cpu_threads(self.config.training.threads):
            yield from self._run(device)

    def _run(self, device: torch.device) -> Iterator[TrainEvent]:
        settings = self.config.training
        data = self.data = load_teacher_data(self.config.data, self.config.split, settings.seed)
        require_divisible(data.teacher.dimension, self.config.student.heads)
        random_state = OwnRandomState(settings.seed, device)
        with random_state:
            student = ProjectionTransformer.from_config(self.config.student, data.teacher.dimension)
        self.student = student.to(device)
        trainer = self._trainer = Trainer(
            student,
            _on_device(data.held_out(data.split.train), device),
            _on_device(data.held_out(data.split.validation), device),
            settings,
            random_state,
        )
        yield self._started(data, trainer, device)
        yield from self._fit_ladder(data)
        yield from trainer
        yield from self.conclude()

    def _started(self, data: TeacherData, trainer: Trainer, device: torch.device) -> RunStarted:
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
            student_parameters=sum(weight.numel() for weight in trainer.student.parameters()),
            teacher_parameters=lda_cost(teacher.num_heads, teacher.dimension).parameters,
            device=str(device),
            threads=torch.get_num_threads(),
        )

    def _fit_ladder(self, data: TeacherData) -> Iterator[BaselineFitted]:
        queries, targets = data.queries[data.split.validation], data.targets[data.split.validation]
        for rung in fit_ladder(data, self.config.training.seed):
            self.baselines.append(rung)
            cosine = float(cosine_similarities(rung.predict(queries), targets).mean())
            yield BaselineFitted(name=rung.name, label=rung.label, validation_cosine=cosine)

    def conclude(self, measured: LatencyFinished | None = None) -> Iterator[TrainEvent]:
        """Judge the student as it is now on the test queries; also after a run that was stopped early.

        Args:
            measured: A latency comparison of this student, which then decides on the cost.
        """
        if self.data is None or self.student is None or self._trainer is None:
            return
        yield from judge_student(
            self.data,
            self.config,
            self.student.project,
            self.baselines,
            (self._trainer.epochs_done, self._trainer.active_seconds),
            measured,
        )


def train(config: RunConfig) -> Iterator[TrainEvent]:
    """Train a student as `config` says; the last event holds the evaluation on the held-out test queries.

    Raises:
        DistillError: The settings, the database or the device cannot be used, or the loss is lost.
    """
    return iter(TrainingSession(config))


def _on_device(part: HeldOut, device: torch.device) -> LabelledQueries:
    return LabelledQueries(
        torch.from_numpy(part.queries).to(device), torch.from_numpy(part.targets).to(device)
    )
