"""What is timed: LDA and student as callables on one device, and the queries they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill_core.teacher import MultiHeadLDA

Project = Callable[[object], object]

INPUTS = 16
"""Inputs taken in turn, so that none stays in the caches alone."""


def lda_call(teacher: MultiHeadLDA, device: torch.device) -> Project:
    """Return the LDA of arrays (batch, d) in NumPy on a CPU, of tensors in torch on another device."""
    if device.type == "cpu":
        return lambda queries: teacher.project(cast(NDArray[np.float32], queries))
    return torch_lda_call(teacher, device)


def torch_lda_call(teacher: MultiHeadLDA, device: torch.device) -> Project:
    """Return the LDA of tensors (batch, d) in torch, on any device."""
    norms = np.linalg.norm(teacher.centroids, axis=1, keepdims=True)
    scaled = torch.from_numpy(teacher.centroids / (norms * teacher.temperature)).T.contiguous().to(device)
    answers = torch.from_numpy(teacher.answers).to(device)

    def project(queries: object) -> Tensor:
        directions = torch.nn.functional.normalize(cast(Tensor, queries), dim=-1)
        return torch.softmax(directions @ scaled, dim=-1) @ answers

    return torch.inference_mode()(project)


def student_call(student: torch.nn.Module) -> Project:
    """Return the student's forward pass of tensors (batch, d), without gradients."""

    def project(queries: object) -> Tensor:
        return cast(Tensor, student(queries))

    return torch.inference_mode()(project)


def query_batches(
    rows: NDArray[np.float32], batch_size: int, device: torch.device, *, numpy: bool = False
) -> tuple[object, ...]:
    """Return `INPUTS` batches of queries, as arrays or as tensors on the device."""
    starts = np.arange(INPUTS) * batch_size
    batches = [rows[np.arange(start, start + batch_size) % len(rows)] for start in starts]
    return tuple(batch if numpy else torch.from_numpy(batch).to(device) for batch in batches)
