"""Does H^L = N explain a student's error? Trains a grid of N, H and L and lets the errors say."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.config import DataConfig, RunConfig, TrainingConfig
from distill_core.devices import OwnRandomState, cpu_threads, resolve_device
from distill_core.evaluation.metrics import cosine_losses, cosine_similarities
from distill_core.experiments.hl_events import (
    BATCH_SIZE,
    HlCell,
    HlCellFinished,
    HlEvent,
    HlSettings,
    HlStarted,
    HlTraining,
)
from distill_core.experiments.hl_findings import summarised
from distill_core.latency import LatencySettings
from distill_core.latency.timing.comparison import LatencyComparison
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA
from distill_core.teacher_data import LabelledQuestions, Split, TeacherData, split_queries
from distill_core.training.loop.training_setup import Training, make_training
from distill_core.training.recipes import resolve, strong_steps_per_epoch

_BLOCKS = 6
"""Rounds in which a cell is timed: half of what decides a verdict."""


def restricted(labelled: LabelledQuestions, split: Split, num_heads: int, seed: int) -> TeacherData:
    """Return the queries and their split with the labels of N heads, drawn from all by the seed.

    The heads of one seed are nested: those of a smaller N are among those of a larger one. Queries whose own
    head is not drawn stay; the drawn heads label them. Each counts once, however often it is asked: what a
    network of a size can learn is the question.

    Args:
        labelled: All heads; 1 <= N <= their number.
        split: Of the queries.
        num_heads: N.
        seed: Of the draw.
    """
    teacher = labelled.teacher
    order = np.random.default_rng(seed).permutation(teacher.num_heads)
    rows = np.sort(order[:num_heads])
    part = MultiHeadLDA(teacher.centroids[rows], teacher.answers[rows], teacher.temperature)
    return TeacherData(
        labelled=replace(labelled, teacher=part, weights=None),
        targets=part.project(labelled.queries),
        split=split,
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """A cell before it is trained."""

    kind: str
    teacher_heads: int
    heads: int
    layers: int
    seed: int


def run_hl(labelled: LabelledQuestions, settings: HlSettings | None = None) -> Generator[HlEvent, None, None]:
    """Train and judge every cell of the grid.

    One `HlStarted`, for each cell some `HlTraining` and an `HlCellFinished`, and `HlFinished` at the end.
    To stop is to stop pulling; `summarised(cells, ended="interrupted")` sums up what it gave. Seed by seed,
    so that an early end leaves whole grids; the cells of a seed share split, heads and random numbers.

    Args:
        labelled: The whole teacher and its queries.
        settings: None for the defaults.

    Raises:
        SettingsError: The grid does not fit the projection.
        DistillError: The device is not there, there are too few queries, or a loss is lost.
    """
    settings = settings or HlSettings()
    teacher = labelled.teacher
    numbers = settings.chosen_teacher_heads(teacher.num_heads)
    settings.require_fitting(teacher.dimension, numbers)
    device = resolve_device(settings.device)
    splits = [split_queries(len(labelled.queries), seed=seed) for seed in range(settings.seeds)]
    shapes = _shapes(settings, numbers)
    started = HlStarted(
        settings=settings,
        teacher_heads=numbers,
        dimension=teacher.dimension,
        temperature=teacher.temperature,
        num_train=len(splits[0].train),
        num_validation=len(splits[0].validation),
        num_test=len(splits[0].test),
        steps=math.prod(_epochs(settings.steps, len(splits[0].train))),
        num_cells=len(shapes),
    )
    yield started
    with cpu_threads(settings.threads):
        yield from _trained(labelled, started, shapes, splits, device)


def _shapes(settings: HlSettings, numbers: tuple[int, ...]) -> list[_Shape]:
    return [
        _Shape(kind, number, heads, layers, seed)
        for seed in range(settings.seeds)
        for kind in settings.students
        for number in numbers
        for layers in sorted(settings.layers)
        for heads in sorted(settings.heads)
    ]


def _trained(
    labelled: LabelledQuestions,
    told: HlStarted,
    shapes: list[_Shape],
    splits: list[Split],
    device: torch.device,
) -> Iterator[HlEvent]:
    started = time.perf_counter()
    cells: list[HlCell] = []
    for shape in shapes:
        data = restricted(labelled, splits[shape.seed], shape.teacher_heads, shape.seed)
        trainer = _trainer(told.settings, shape, data, device)
        for _ in trainer:
            yield HlTraining(cells_done=len(cells), num_cells=len(shapes), step=trainer.step)
        cells.append(_judged(trainer, shape, data, told.settings))
        yield HlCellFinished(
            cell=cells[-1],
            cells_done=len(cells),
            num_cells=len(shapes),
            elapsed_seconds=time.perf_counter() - started,
        )
    yield summarised(cells, elapsed_seconds=time.perf_counter() - started, started=told)


def _trainer(settings: HlSettings, shape: _Shape, data: TeacherData, device: torch.device) -> Training:
    epochs, _ = _epochs(settings.steps, len(data.split.train))
    student = settings.student(shape.kind, shape.heads, shape.layers)
    config = RunConfig(
        data=DataConfig(database=""),
        student=student,
        training=TrainingConfig(
            recipe="strong",
            epochs=epochs if student.BY_GRADIENTS else None,
            batch_size=BATCH_SIZE,
            seed=shape.seed,
        ),
    )
    random_state = OwnRandomState(shape.seed, device)
    with random_state:
        return make_training(resolve(config, len(data.split.train)), data, random_state)


def _epochs(steps: int, num_train: int) -> tuple[int, int]:
    """Return epochs for at least so many steps of `strong`, and the steps of each."""
    per_epoch = strong_steps_per_epoch(num_train, BATCH_SIZE)
    return math.ceil(steps / per_epoch), per_epoch


def _judged(trainer: Training, shape: _Shape, data: TeacherData, settings: HlSettings) -> HlCell:
    student = trainer.student
    folded = student.fold()
    test, validation = data.held_out(data.split.test), data.held_out(data.split.validation)
    constant = np.broadcast_to(test.constant, test.targets.shape)
    return HlCell(
        student=shape.kind,
        teacher_heads=shape.teacher_heads,
        heads=shape.heads,
        layers=shape.layers,
        seed=shape.seed,
        parameters=student.num_parameters,
        test_error=_error(folded.project(test.queries), test.targets),
        validation_error=_error(folded.project(validation.queries), validation.targets),
        constant_error=_error(constant, test.targets),
        steps=trainer.step,
        **_times(student, data, settings),
    )


def _times(student: Student, data: TeacherData, settings: HlSettings) -> dict[str, float]:
    """Return the medians of one query, student and LDA in alternating blocks; nothing where none is asked."""
    if not settings.timed:
        return {}
    asked = LatencySettings(device=settings.device, threads=settings.threads, blocks=_BLOCKS)
    measured = LatencyComparison(data.teacher, student, data.queries, asked)
    for _ in measured:
        pass
    result = measured.result()
    assert result is not None
    return {"single_us": result.transformer.single_us.p50, "lda_single_us": result.lda.single_us.p50}


def _error(predicted: NDArray[np.floating], targets: NDArray[np.float32]) -> float:
    return float(cosine_losses(cosine_similarities(predicted, targets)).mean())
