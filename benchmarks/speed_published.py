"""The published way of each part, written from its description: what the speed benchmark compares with."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.students import ProjectionTransformer
from distill_core.teacher import MultiHeadLDA

Matrix = NDArray[np.float32]


def project_by_head(teacher: MultiHeadLDA, query: Matrix) -> Matrix:
    """Project one query (d,) with a Python loop over the heads: a cosine of each, then the sum of each."""
    scores = [cosine(query, centroid) for centroid in teacher.centroids]
    largest = max(scores)
    powers = [math.exp((score - largest) / teacher.temperature) for score in scores]
    total = sum(powers)
    projected = np.zeros(teacher.dimension, np.float32)
    for power, answer in zip(powers, teacher.answers, strict=True):
        projected += (power / total) * answer
    return projected


def cosine(one: Matrix, other: Matrix) -> float:
    """Return the cosine of two vectors (d,)."""
    return float(np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other)))


def project_each(teacher: MultiHeadLDA, queries: Matrix) -> Matrix:
    """Project a batch (n, d) one query after the other."""
    return np.stack([project_by_head(teacher, query) for query in queries])


def training_steps(
    queries: torch.Tensor, targets: torch.Tensor, batch_size: int, heads: int, layers: int
) -> Callable[[int], None]:
    """Return a function that takes training steps of the published recipe on stored queries."""
    student = ProjectionTransformer(queries.shape[1], heads, layers).train()
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-4)
    history: list[float] = []

    def steps(count: int) -> None:
        for _ in range(count):
            rows = torch.randperm(len(queries))[:batch_size]
            predicted, target = student(queries[rows]), targets[rows]
            mse = torch.nn.functional.mse_loss(predicted, target)
            cosine = torch.nn.functional.cosine_similarity(predicted, target, dim=-1).mean()
            loss = 0.3 * mse + 0.7 * (1 - cosine)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            history.append(loss.item())

    return steps
