"""New queries for the teacher to label, drawn from what the training part and the teacher show."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

_MAX_SCORES = 1 << 24
"""Cosines held at once."""


class QuerySampler:
    """Draws queries like the unseen ones, from training queries and the teacher's centroids alone.

    Half of a batch are *mixtures*, `normalize(a u + (1 - a) v)` of two training queries or centroids. The
    other half are *transplants*: a training query is its nearest centroid times their cosine, plus a rest;
    the rests of two queries, mixed, are set on a centroid drawn at random, at the cosine of a third query. So
    every head gets queries at the distance at which real ones lie, in directions in which real ones
    differ from their centroid. docs/recipe.md compares them.

    Each is given the length of a training query. Everything stays on one device, nothing waits for it; the
    random numbers are torch's own.

    Args:
        queries: (n, d), the training part.
        centroids: (N, d), unit rows.
    """

    def __init__(self, queries: Tensor, centroids: Tensor) -> None:
        self._lengths = queries.norm(dim=1, keepdim=True)
        directions = F.normalize(queries, dim=1)
        self._centroids = centroids
        self._pool = torch.cat((directions, centroids))
        self._cosines, nearest = _nearest(directions, centroids)
        self._rests = F.normalize(directions - self._cosines * centroids[nearest], dim=1)

    def draw(self, count: int) -> Tensor:
        """Return new queries (count, d)."""
        mixtures = count // 2
        drawn = torch.cat((self._mixtures(mixtures), self._transplants(count - mixtures)))
        return drawn * _some(self._lengths, count)

    def _mixtures(self, count: int) -> Tensor:
        share = torch.rand(count, 1, device=self._pool.device)
        return F.normalize(torch.lerp(_some(self._pool, count), _some(self._pool, count), share), dim=1)

    def _transplants(self, count: int) -> Tensor:
        centroids, cosines = _some(self._centroids, count), _some(self._cosines, count)
        angle = torch.rand(count, 1, device=self._pool.device) * (math.pi / 2)
        rests = angle.cos() * _some(self._rests, count) + angle.sin() * _some(self._rests, count)
        across = rests - (rests * centroids).sum(dim=1, keepdim=True) * centroids
        return cosines * centroids + (1 - cosines.square()).clamp_min(0).sqrt() * F.normalize(across, dim=1)


def _some(rows: Tensor, count: int) -> Tensor:
    return rows[torch.randint(len(rows), (count,), device=rows.device)]


def _nearest(directions: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosine (n, 1) of the nearest centroid of each query, and its number (n,)."""
    chunk = max(1, _MAX_SCORES // len(centroids))
    best = [(rows @ centroids.T).max(dim=1, keepdim=True) for rows in torch.split(directions, chunk)]
    return torch.cat([part.values for part in best]), torch.cat([part.indices for part in best]).squeeze(1)
