"""The teacher as a labeller of queries on the training device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from distill_core.teacher import MultiHeadLDA

_MAX_SCORES = 1 << 24
"""Scores held at once: (rows, N) stays below this."""


class TorchTeacher:
    """The projection of a teacher as two matrix products and a softmax, without gradients.

    Args:
        teacher: N heads of dimension d.
        device: Where its matrices are put.
    """

    def __init__(self, teacher: MultiHeadLDA, device: torch.device) -> None:
        norms = np.linalg.norm(teacher.centroids, axis=1, keepdims=True)
        centroids = teacher.centroids / norms
        self.centroids = torch.from_numpy(centroids).to(device)
        self._scaled = torch.from_numpy(centroids / teacher.temperature).T.contiguous().to(device)
        self._answers = torch.from_numpy(teacher.answers).to(device)
        self._rows = max(1, _MAX_SCORES // teacher.num_heads)

    @torch.no_grad()
    def label(self, queries: Tensor) -> Tensor:
        """Return the projections (n, d) of queries (n, d)."""
        parts = [self._label(rows) for rows in torch.split(queries, self._rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _label(self, queries: Tensor) -> Tensor:
        directions = torch.nn.functional.normalize(queries, dim=-1)
        return torch.softmax(directions @ self._scaled, dim=-1) @ self._answers
