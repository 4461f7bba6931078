"""What is timed: LDA and student as callables on one device, and the queries they are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from distill_core.teacher import MultiHeadLDA

Project = Callable[[object], object]

Form = Literal["queries", "arrays", "tensors"]
"""What a call takes: "tensors" or "arrays" (batch, d), or "queries": arrays, but (d,) for a single one."""

INPUTS = 16
"""Inputs taken in turn, so that none stays in the caches alone."""


def lda_call(teacher: MultiHeadLDA, device: torch.device) -> Project:
    """Return the LDA of "queries" in NumPy on a CPU, of tensors in torch on another device.

    In NumPy it is the method itself: a function around it would be a tenth of the time of a single query.
    """
    return cast(Project, teacher.project) if device.type == "cpu" else torch_lda_call(teacher, device)


def lda_form(device: torch.device) -> Form:
    """Return what `lda_call` takes on a device."""
    return "queries" if device.type == "cpu" else "tensors"


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
    return torch.inference_mode()(cast(Project, student.__call__))


def query_batches(
    rows: NDArray[np.float32], batch_size: int, device: torch.device, form: Form = "tensors"
) -> tuple[object, ...]:
    """Return `INPUTS` batches of queries as a call takes them, tensors on the device."""
    starts = np.arange(INPUTS) * batch_size
    batches = [rows[np.arange(start, start + batch_size) % len(rows)] for start in starts]
    if form == "tensors":
        return tuple(torch.from_numpy(batch).to(device) for batch in batches)
    return tuple(batch[0] if form == "queries" and batch_size == 1 else batch for batch in batches)
