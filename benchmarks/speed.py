"""Ours against the published way, in alternating blocks of one process, with the physical limit beside it.

    python -m benchmarks.speed ../reference-db/n30/lda.db --temperature 0.1
    python -m benchmarks.speed --smoke

Each line: the median ratio published / ours over the rounds with its range, our time, the time that the bytes
or the operations alone need at the rate that was measured in the same round, and how far we are from it.
`--goals` also trains to a held-out cosine of 0.95, 0.99 and 0.999, alternating with the published loop of 200
epochs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.speed_published import project_by_head, project_each, training_steps
from distill_core.architecture import lda_cost
from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.devices import OwnRandomState, cpu_threads
from distill_core.students import EncoderConfig, ProjectionTransformer
from distill_core.students.encoder import folded_encoder_cost
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training import EpochFinished, TrainingSession
from distill_core.training.loop.loss import distillation_loss
from distill_core.training.loop.training_setup import make_trainer
from distill_core.training.recipes import resolve

BLOCK_SECONDS = 0.25
GOALS = (0.95, 0.99, 0.999)
BOOK_EPOCHS = 200


class Pair(NamedTuple):
    """What is compared: two callables that do the same work, the queries in a call, and the work itself."""

    name: str
    published: Callable[[], object]
    ours: Callable[[], object]
    queries: int
    bytes_moved: int
    flops: int


def seconds_a_call(call: Callable[[], object]) -> float:
    """Return the mean over a block."""
    calls, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < BLOCK_SECONDS:
        call()
        calls += 1
    return spent / calls


def bandwidth(size_bytes: int) -> float:
    """Return the bytes a second at which this many bytes are read again and again."""
    values = np.ones(max(size_bytes // 4, 1024), np.float32)
    return values.nbytes / seconds_a_call(lambda: np.add.reduce(values))


def gemm_rate(rows: int, dimension: int) -> float:
    """Return the operations a second of a product (rows, d) @ (d, d)."""
    left, right = torch.randn(rows, dimension), torch.randn(dimension, dimension)
    out = torch.empty(rows, dimension)
    return 2 * rows * dimension**2 / seconds_a_call(lambda: torch.mm(left, right, out=out))


def inference_pairs(data: TeacherData) -> list[Pair]:
    """Return teacher and student, one query and a batch of 32."""
    teacher, d = data.teacher, data.teacher.dimension
    one, batch = data.queries[0], data.queries[:32]
    student = ProjectionTransformer(d).eval()
    folded = student.fold()
    small, large = torch.from_numpy(one[None]), torch.from_numpy(batch)
    lda, encoder = lda_cost(teacher.num_heads, d), folded_encoder_cost(d, 2, 512)

    def run(module: torch.nn.Module, queries: torch.Tensor) -> Callable[[], object]:
        def call() -> object:
            with torch.inference_mode():
                return module(queries)

        return call

    return [
        Pair(
            "teacher, one query",
            lambda: project_by_head(teacher, one),
            lambda: teacher.project(one),
            1,
            4 * lda.parameters,
            lda.flops,
        ),
        Pair(
            "teacher, batch of 32",
            lambda: project_each(teacher, batch),
            lambda: teacher.project(batch),
            32,
            4 * lda.parameters,
            32 * lda.flops,
        ),
        Pair(
            "student, one query",
            run(student, small),
            run(folded, small),
            1,
            4 * encoder.parameters,
            encoder.flops,
        ),
        Pair(
            "student, batch of 32",
            run(student, large),
            run(folded, large),
            32,
            4 * encoder.parameters,
            32 * encoder.flops,
        ),
    ]


def training_pair(data: TeacherData, batch_size: int) -> Pair:
    """Return ten training steps of each, at the same batch and for the same student."""
    device = torch.device("cpu")
    settings = TrainingConfig(batch_size=batch_size, device="cpu")
    config = resolve(RunConfig(data=DataConfig(database=""), training=settings), len(data.split.train))
    trainer = make_trainer(config, data, OwnRandomState(0, device))
    rows = data.split.train
    published = training_steps(
        torch.from_numpy(data.queries[rows]), torch.from_numpy(data.targets[rows]), batch_size, 4, 2
    )

    def ours() -> None:
        trainer.learner.trained.train()
        for _ in range(10):
            batch = trainer._batches.next()
            predicted = trainer.learner.predict(batch.queries)
            trainer.learner.step(distillation_loss(predicted, batch.targets).loss)

    weights = sum(weight.numel() for weight in trainer.learner.trained.parameters())
    # AdamW reads weight, gradient and two moments and writes three of them; forward and backward read twice.
    return Pair(
        f"training, batch of {batch_size}",
        lambda: published(10),
        ours,
        10 * batch_size,
        10 * 4 * weights * 9,
        10 * 6 * weights * batch_size,
    )


def compare(pair: Pair, rounds: int, dimension: int) -> str:
    """Time a pair in alternating blocks, ABBA, and say how they compare."""
    ratios, times, shares = [], [], []
    for number in range(rounds):
        calls = (pair.published, pair.ours) if number % 2 == 0 else (pair.ours, pair.published)
        first, second = (seconds_a_call(call) for call in calls)
        published, ours = (first, second) if number % 2 == 0 else (second, first)
        memory = pair.bytes_moved / bandwidth(pair.bytes_moved)
        work = pair.flops / gemm_rate(max(pair.queries if pair.queries < 320 else 64, 1), dimension)
        ratios.append(published / ours)
        times.append(ours / pair.queries)
        shares.append(max(memory, work) / pair.queries)
    ours, limit = float(np.median(times)), float(np.median(shares))
    return (
        f"{pair.name:22} {np.median(ratios):7.1f}x ({min(ratios):.1f} to {max(ratios):.1f})   "
        f"ours {1e6 * ours:8.2f} us a query, {1 / ours:10,.0f} a second   "
        f"limit {1e6 * limit:7.2f} us, {ours / limit:4.1f}x away"
    )


def time_to_goals(database: Path, temperature: float, seed: int, epochs: int | None) -> dict[float, float]:
    """Return the training seconds until the validation queries reached each goal."""
    training = TrainingConfig(seed=seed, device="cpu", epochs=epochs)
    data = DataConfig(database=str(database), temperature=temperature)
    reached: dict[float, float] = {}
    student = EncoderConfig(heads=4, layers=2)
    for event in TrainingSession(RunConfig(data=data, student=student, training=training)):
        if isinstance(event, EpochFinished) and event.validation is not None:
            for goal in GOALS:
                if event.validation.cosine >= goal:
                    reached.setdefault(goal, event.active_seconds)
            if len(reached) == len(GOALS):
                break
    return reached


def time_of_published(database: Path, temperature: float, seed: int, epochs: int) -> float:
    """Return the seconds of the published epochs of batches of 32, the plain loop."""
    data = load_teacher_data(
        DataConfig(database=str(database), temperature=temperature), SplitConfig(split_seed=seed)
    )
    rows = data.split.train
    steps = training_steps(
        torch.from_numpy(data.queries[rows]), torch.from_numpy(data.targets[rows]), 32, 4, 2
    )
    began = time.perf_counter()
    steps(epochs * -(-len(rows) // 32))
    return time.perf_counter() - began


def compare_goals(database: Path, temperature: float, seeds: int, epochs: int | None) -> None:
    """Train to each goal and the published 200 epochs by turns, or at most so many epochs of each."""
    book_epochs = epochs or BOOK_EPOCHS
    shares: dict[float, list[float]] = {goal: [] for goal in GOALS}
    for seed in range(seeds):
        if seed % 2 == 0:
            book = time_of_published(database, temperature, seed, book_epochs)
            reached = time_to_goals(database, temperature, seed, epochs)
        else:
            reached = time_to_goals(database, temperature, seed, epochs)
            book = time_of_published(database, temperature, seed, book_epochs)
        told = []
        for goal in GOALS:
            shares[goal].append(reached.get(goal, np.nan) / book)
            told.append(f"{goal}: {reached.get(goal, np.nan):5.1f} s")
        print(
            f"seed {seed}: strong {', '.join(told)}; the published {book_epochs} epochs {book:5.1f} s",
            flush=True,
        )
    for goal, values in shares.items():
        print(
            f"time to {goal}: {np.median(values):.2f} of the published"
            f" ({min(values):.2f} to {max(values):.2f})"
        )


def peak_memory(recipe: str, database: Path) -> float:
    """Return the highest resident memory in MB of a process that trains a moment."""
    program = (
        "import resource, sys; from distill_core.config import *; from distill_core.training import train;"
        "c = RunConfig(data=DataConfig(database=sys.argv[2]),"
        " training=TrainingConfig(epochs=3, device='cpu').with_values(recipe=sys.argv[1]));"
        "list(train(c)); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, recipe, str(database)], capture_output=True, text=True, check=True
    )
    return float(told.stdout)


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("database", nargs="?", type=Path, default=demo_database_path())
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--goals", type=int, metavar="SEEDS", default=0, help="also time to a cosine")
    parser.add_argument("--smoke", action="store_true", help="one round, one seed of an epoch")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.goals = 1, 1
    source = DataConfig(database=str(options.database), temperature=options.temperature)
    with cpu_threads(options.threads):
        data = load_teacher_data(source, SplitConfig())
        print(f"N = {data.teacher.num_heads}, d = {data.teacher.dimension}, {options.threads} thread(s)")
        for pair in (*inference_pairs(data), training_pair(data, 32), training_pair(data, 64)):
            pair.published()
            pair.ours()
            print(compare(pair, options.rounds, data.teacher.dimension), flush=True)
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        books, strongs = peak_memory("book", options.database), peak_memory("strong", options.database)
        print(f"peak memory: book {books:.0f} MB, strong {strongs:.0f} MB, this process {own:.0f} MB")
    if options.goals:
        compare_goals(options.database, options.temperature, options.goals, 1 if options.smoke else None)


if __name__ == "__main__":
    main()
