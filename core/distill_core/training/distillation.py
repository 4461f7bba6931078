"""The convenience for a script or a notebook: one call, the history back."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from distill_core.config import TrainingConfig
from distill_core.devices import cpu_threads
from distill_core.errors import VectorError
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA
from distill_core.training.batches import LabelledQueries
from distill_core.training.events import EpochFinished
from distill_core.training.random_state import OwnRandomState
from distill_core.training.training_setup import book_trainer


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
