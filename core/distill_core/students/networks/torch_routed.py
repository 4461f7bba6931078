"""A routed student in torch, on another device than the CPU: its near heads are the nearest ones, exactly."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from distill_core.students.networks.routed_fields import RoutedFields
from distill_core.students.routed import LDA


class TorchRouted:
    """The fields of a routed student over all scores: on a GPU these cost less than a scan of codes.

    Args:
        fields: Of the student.
        temperature: tau.
        device: Where its matrices are.
    """

    def __init__(self, fields: RoutedFields, temperature: float, device: torch.device) -> None:
        self._fields, self._temperature, self._is_lda = fields, temperature, fields.rung == LDA

        def there(rows: NDArray[Any]) -> Tensor:
            return torch.from_numpy(rows).to(device)

        self._keys = there(fields.keys.part(slice(None))).T.contiguous()
        self._answers = there(fields.answers.part(slice(None)))
        if self._is_lda:
            return
        far = fields.far
        heads, cells = len(fields.keys), fields.cells
        opened = fields.rung.opened
        self._near = opened if fields.rung.near == "scan" else max(1, opened * heads // cells)
        self._cell = there(far.cell).to(torch.int64)
        sizes = torch.bincount(self._cell, minlength=cells).clamp_(min=1)
        self._shares = 1 / sizes.to(torch.float32)
        self._values, self._shift = there(far.values), there(far.shift)
        self._map = there(far.map).T.contiguous()

    def project(self, queries: Tensor) -> Tensor:
        """Return the projections (n, d) of queries (n, d), all at once."""
        scaled = torch.nn.functional.normalize(queries, dim=-1) / self._temperature
        scores = scaled @ self._keys
        if self._is_lda:
            return torch.softmax(scores, dim=-1) @ self._answers
        near, heads = scores.topk(min(self._near, scores.shape[1]), dim=-1, sorted=False)
        mapped = scaled @ self._map + self._shift
        far, rest = mapped[:, : len(self._values)], mapped[:, len(self._values) : -1]
        top = far.amax(dim=-1, keepdim=True)
        masses = torch.exp(far - top)
        # What each near head adds to its merged head, which the far field then goes without.
        cells = self._cell[heads]
        twice = torch.gather(masses * self._shares, 1, cells)
        whole = masses.sum(dim=-1, keepdim=True)
        mass = torch.maximum(whole - twice.sum(dim=-1, keepdim=True), 1e-6 * whole)
        answers = self._answers[heads]
        nearest = near.amax(dim=-1, keepdim=True)
        weights = torch.exp(near - nearest)
        factor = torch.exp((top - nearest + mapped[:, -1:]).clamp(-80, 80))
        mixed = torch.bmm((weights - factor * twice)[:, None], answers)[:, 0]
        mixed = mixed + factor * (masses @ self._values + mass * rest)
        return mixed / (weights.sum(dim=-1, keepdim=True) + factor * mass)
