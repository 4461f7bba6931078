"""Databases, trained students and held-out figures for the published claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.architecture import default_architecture
from distill_core.config import DataConfig, SplitConfig, TrainingConfig
from distill_core.database import demo_database_path
from distill_core.devices import OwnRandomState
from distill_core.evaluation import Evaluation, evaluate
from distill_core.students import EncoderConfig, ProjectionTransformer
from distill_core.teacher_data import TeacherData, load_teacher_data
from distill_core.training.events import EpochFinished
from distill_core.training.loop.batches import LabelledQueries
from distill_core.training.loop.training_setup import book_trainer

Matrix = NDArray[np.float32]


class Extent(NamedTuple):
    """How much is trained and timed: the seeds, and the most epochs, heads and blocks."""

    seeds: range
    few_seeds: range
    epochs: int
    heads: int
    blocks: int


PUBLISHED = Extent(range(5), range(3), epochs=600, heads=65_536, blocks=10)
SMOKE = Extent(range(1), range(1), epochs=2, heads=32, blocks=2)


class Source(NamedTuple):
    """A database and its name."""

    name: str
    path: Path

    def load(self, temperature: float, seed: int) -> TeacherData:
        """Return projection 1 at a temperature, its queries split by a seed."""
        data = DataConfig(database=str(self.path), temperature=temperature)
        return load_teacher_data(data, SplitConfig(split_seed=seed))


def sources(folder: Path | None) -> tuple[Source, ...]:
    """Return the reference databases, or the demo."""
    if folder is None:
        return (Source("demo", demo_database_path()),)
    return tuple(Source(name, folder / name / "lda.db") for name in ("n18", "n30"))


def trained(
    data: TeacherData, settings: TrainingConfig, epochs: Sequence[int], heads: int | None = None
) -> Iterator[ProjectionTransformer]:
    """Yield the book rule's student as `distill-tui train` trains it, after each of some epochs."""
    book_heads, layers = default_architecture(data.teacher.num_heads, data.teacher.dimension)
    shape = EncoderConfig(heads=heads or book_heads, layers=layers, dropout=0.1)
    random_state = OwnRandomState(settings.seed, torch.device("cpu"))
    with random_state:
        student = ProjectionTransformer(data.teacher.dimension, shape.heads, shape.layers, dropout=0.1)
    rows = data.split.train
    labelled = LabelledQueries(torch.from_numpy(data.queries[rows]), torch.from_numpy(data.targets[rows]))
    if 0 in epochs:
        yield student
    settings = settings.with_values(recipe="book", epochs=max(epochs))
    for event in book_trainer(student, labelled, None, settings, random_state):
        if isinstance(event, EpochFinished) and event.epoch in epochs:
            yield student


def judged(data: TeacherData, predict: Callable[[Matrix], Matrix]) -> Evaluation:
    """Return the held-out evaluation of a student or a baseline."""
    test = data.held_out(data.split.test)
    return evaluate(predict(test.queries), test.targets, test.constant)


def spread(values: Sequence[float]) -> str:
    """Return the mean and the range over seeds."""
    return f"{np.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"
