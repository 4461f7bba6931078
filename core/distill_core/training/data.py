"""From a database to labelled queries, split once and for all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.config import DataConfig
from distill_core.database import LdaDatabase
from distill_core.splits import Split, split_queries
from distill_core.teacher import MultiHeadLDA
from distill_core.training.trainer import LabelledQueries


@dataclass(frozen=True, slots=True)
class TeacherData:
    """A teacher with its queries, their labels, and the split of them.

    Attributes:
        question_ids: (n,), ascending.
        queries: (n, d) float32.
        targets: (n, d) float32, the teacher's projections.
    """

    teacher: MultiHeadLDA
    question_ids: NDArray[np.int64]
    queries: NDArray[np.float32]
    targets: NDArray[np.float32]
    split: Split

    def labelled(self, rows: NDArray[np.int64], device: torch.device) -> LabelledQueries:
        """Return some of the queries with their labels, on a device."""
        return LabelledQueries(
            torch.from_numpy(self.queries[rows]).to(device), torch.from_numpy(self.targets[rows]).to(device)
        )


def load_teacher_data(config: DataConfig, seed: int) -> TeacherData:
    """Open the database read-only, label every query by the teacher, and split.

    Raises:
        DistillError: The database, the projection or its vectors cannot be used.
    """
    with LdaDatabase(config.database) as database:
        teacher = database.teacher(config.mh_id)
        question_ids, queries = database.queries(config.mh_id)
    split = split_queries(
        len(queries),
        validation_fraction=config.validation_fraction,
        test_fraction=config.test_fraction,
        seed=seed,
    )
    return TeacherData(teacher, question_ids, queries, teacher.project(queries), split)
