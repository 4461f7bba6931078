"""The teacher in torch, on any device: it labels queries while training, and is timed there."""

from __future__ import annotations

import torch
from torch import Tensor

from distill_core.teacher import MultiHeadLDA

_MAX_SCORES = 1 << 24
"""Scores held at once: (rows, N) stays below this."""


class TorchTeacher:
    """The projection of a teacher as two matrix products and a softmax.

    Args:
        teacher: N heads of dimension d.
        device: Where its matrices are.
    """

    def __init__(self, teacher: MultiHeadLDA, device: torch.device) -> None:
        scaled = teacher.unit_centroids() / teacher.temperature
        self.device = device
        self._scaled = torch.from_numpy(scaled).T.contiguous().to(device)
        self._answers = torch.from_numpy(teacher.answers).to(device)
        self._rows = max(1, _MAX_SCORES // teacher.num_heads)

    def project(self, queries: Tensor) -> Tensor:
        """Return the projections (n, d) of queries (n, d), all at once."""
        directions = torch.nn.functional.normalize(queries, dim=-1)
        return torch.softmax(directions @ self._scaled, dim=-1) @ self._answers

    @torch.no_grad()
    def label(self, queries: Tensor) -> Tensor:
        """Return the projections (n, d) of queries (n, d), in bounded memory and without gradients."""
        parts = [self.project(rows) for rows in torch.split(queries, self._rows)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
