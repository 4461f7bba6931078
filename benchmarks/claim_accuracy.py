"""The claims about accuracy: the 0.99, and MSE alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.claim_training import Extent, Matrix, judged, sources, spread, trained
from distill_core.config import TrainingConfig
from distill_core.evaluation import Evaluation, evaluate
from distill_core.teacher_data import TeacherData
from distill_core.training.judging import fit_ladder


class Recipe(NamedTuple):
    """Settings of the training that differ from the published ones, and the epochs to report after."""

    label: str
    changes: dict[str, object]
    epochs: tuple[int, ...] = (200,)


RECIPES = (
    Recipe("lambda 0.7, as published", {}),
    Recipe("lambda 0, MSE mean", {"cosine_weight": 0.0}, (0, 200, 600)),
    Recipe("lambda 0, MSE sum", {"cosine_weight": 0.0, "mse_reduction": "sum"}),
    Recipe("lambda 0, MSE mean, rate 1e-3", {"cosine_weight": 0.0, "learning_rate": 1e-3}, (50, 200)),
)


def claim_cosine(folder: Path | None, extent: Extent) -> None:
    """Print student and baselines at both temperatures."""
    temperatures = ((1.0, extent.few_seeds), (0.1, extent.seeds))
    for source, (temperature, seeds) in itertools.product(sources(folder), temperatures):
        results: dict[str, list[Evaluation]] = {}
        for seed in seeds:
            data = source.load(temperature, seed)
            for name, result in held_out_results(data, TrainingConfig(seed=seed), min(200, extent.epochs)):
                results.setdefault(name, []).append(result)
        print(f"\n{source.name}, tau {temperature:g}, {len(seeds)} seeds: mean (range)")
        print(f"  {'':17}{'mean cosine':>26}{'lowest cosine':>26}{'skill':>32}  student is better")
        students = [result.cosine.mean for result in results["student"]]
        for name, own in results.items():
            means = [result.cosine.mean for result in own]
            wins = sum(a > b for a, b in zip(students, means, strict=True))
            lowest = spread([result.cosine.min for result in own])
            skill = spread([result.skill or 0.0 for result in own])
            versus = "" if name.startswith("student") else f"  {wins} of {len(own)}"
            print(f"  {name:17}{spread(means):>26}{lowest:>26}{skill:>32}{versus}", flush=True)


def held_out_results(
    data: TeacherData, settings: TrainingConfig, epochs: int
) -> Iterator[tuple[str, Evaluation]]:
    """Yield the published student, also on the queries it was trained on, and every baseline."""
    student = next(trained(data, settings, (epochs,)))
    yield "student", judged(data, student.project)
    known = data.held_out(data.split.train)
    yield "student, training", evaluate(student.project(known.queries), known.targets, known.constant)
    for rung in fit_ladder(data, settings.seed):
        yield rung.name, judged(data, rung.predict)


def claim_mse(folder: Path | None, extent: Extent) -> None:
    """Print what MSE alone learns, with other reductions, epochs and rates."""
    source = sources(folder)[0]
    print(f"\n{source.name}, tau 0.1, {len(extent.few_seeds)} seeds: mean (range)")
    print(f"  {'':31}{'epochs':>7}{'mean cosine':>27}{'length / teacher':>29}{'R2':>27}")
    constants = [
        judged(data, constant(data)) for data in (source.load(0.1, seed) for seed in extent.few_seeds)
    ]
    print_recipe("constant mean output", 0, constants)
    for label, changes, published_epochs in RECIPES:
        epochs = tuple(sorted({min(epoch, extent.epochs) for epoch in published_epochs}))
        results: dict[int, list[Evaluation]] = {}
        for seed in extent.few_seeds:
            data = source.load(0.1, seed)
            settings = TrainingConfig(seed=seed).with_values(**changes)
            for epoch, student in zip(epochs, trained(data, settings, epochs), strict=True):
                results.setdefault(epoch, []).append(judged(data, student.project))
        for epoch, own in results.items():
            print_recipe(label, epoch, own)


def constant(data: TeacherData) -> Callable[[Matrix], Matrix]:
    """Return the mean training target as a student."""
    mean = data.targets[data.split.train].mean(axis=0)
    return lambda queries: np.tile(mean, (len(queries), 1))


def print_recipe(label: str, epoch: int, results: Sequence[Evaluation]) -> None:
    """Print one line of the table."""
    cosine = spread([result.cosine.mean for result in results])
    norm = spread([result.relative_norm or 0.0 for result in results])
    r2 = np.mean([result.r2 or 0.0 for result in results])
    print(f"  {label:31}{epoch:7}{cosine:>27}{norm:>29}{r2:27.3f}", flush=True)
