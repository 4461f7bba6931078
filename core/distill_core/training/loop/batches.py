"""Batches of labelled queries: stored ones, and ones that are drawn around them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from torch import Tensor

from distill_core.students.networks.torch_teacher import TorchTeacher

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
        weights: (n,) > 0, how often each query is asked: it is drawn from as often. None: all alike.
    """

    def __init__(self, queries: Tensor, centroids: Tensor, weights: Tensor | None = None) -> None:
        self._shares, self._pool_shares = weights, None
        if weights is not None:  # a centroid stands for what is asked once
            self._pool_shares = torch.cat((weights / weights.mean(), weights.new_ones(len(centroids))))
        self._lengths = queries.norm(dim=1, keepdim=True)
        directions = F.normalize(queries, dim=1)
        self._pool = torch.cat((directions, centroids))
        self._centroids = self._pool[len(directions) :]
        self._cosines, nearest = _nearest(directions, self._centroids)
        self._rests = F.normalize(directions - self._cosines * self._centroids[nearest], dim=1)

    def draw(self, count: int) -> Tensor:
        """Return new queries (count, d)."""
        mixtures = count // 2
        drawn = torch.cat((self._mixtures(mixtures), self._transplants(count - mixtures)))
        return drawn * _some(self._lengths, count, self._shares)

    def _mixtures(self, count: int) -> Tensor:
        share = torch.rand(count, 1, device=self._pool.device)
        one, other = (_some(self._pool, count, self._pool_shares) for _ in range(2))
        return F.normalize(torch.lerp(one, other, share), dim=1)

    def _transplants(self, count: int) -> Tensor:
        centroids, cosines = _some(self._centroids, count), _some(self._cosines, count, self._shares)
        angle = torch.rand(count, 1, device=self._pool.device) * (math.pi / 2)
        one, other = (_some(self._rests, count, self._shares) for _ in range(2))
        rests = angle.cos() * one + angle.sin() * other
        across = rests - (rests * centroids).sum(dim=1, keepdim=True) * centroids
        return cosines * centroids + (1 - cosines.square()).clamp_min(0).sqrt() * F.normalize(across, dim=1)


def _some(rows: Tensor, count: int, shares: Tensor | None = None) -> Tensor:
    if shares is None:
        return rows[torch.randint(len(rows), (count,), device=rows.device)]
    return rows[torch.multinomial(shares, count, replacement=True)]


def _nearest(directions: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the cosine (n, 1) of the nearest centroid of each query, and its number (n,)."""
    chunk = max(1, _MAX_SCORES // len(centroids))
    best = [(rows @ centroids.T).max(dim=1, keepdim=True) for rows in torch.split(directions, chunk)]
    return torch.cat([part.values for part in best]), torch.cat([part.indices for part in best]).squeeze(1)


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """Queries (n, d), the teacher's projections of them (n, d), how often they are asked (n,); on one device.

    Without weights all are asked alike.
    """

    queries: Tensor
    targets: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.queries)


class Batches(Protocol):
    """Epochs of batches. All randomness is torch's global one, which the trainer swaps for its own."""

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""

    def start_epoch(self) -> None:
        """Begin an epoch."""

    def next(self) -> LabelledQueries:
        """Return the next batch of the epoch."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return where the epoch stands."""

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where an epoch stood."""


class StoredBatches:
    """Every stored query once an epoch, in a new order each; with weights as many, as often as asked."""

    def __init__(self, labelled: LabelledQueries, batch_size: int) -> None:
        self._labelled = labelled
        self._batch_size = batch_size
        self._order = torch.empty(0, dtype=torch.int64)
        self._position = 0

    @property
    def per_epoch(self) -> int:
        """Batches an epoch."""
        return math.ceil(len(self._labelled) / self._batch_size)

    def start_epoch(self) -> None:
        """Draw the order of the epoch."""
        # On the CPU whatever the device, so that the order is the same on all of them; copied without a wait.
        number, device, weights = len(self._labelled), self._labelled.queries.device, self._labelled.weights
        order = (
            torch.randperm(number)
            if weights is None
            else torch.multinomial(weights.cpu(), number, replacement=True)
        )
        self._order = (
            order.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else order.to(device)
        )
        self._position = 0

    def next(self) -> LabelledQueries:
        """Return the next batch in the epoch's order; the last one may be smaller."""
        rows = self._order[self._position : self._position + self._batch_size]
        self._position += self._batch_size
        return LabelledQueries(self._labelled.queries[rows], self._labelled.targets[rows])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the order of the epoch and the position in it."""
        return {"order": self._order, "position": torch.tensor(self._position)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on in an order, from a position."""
        self._order = state["order"].to(self._labelled.queries.device)
        self._position = int(state["position"])


_DRAWN_ROWS = 256
"""Queries drawn and labelled at once, at most: one large product costs less than many small ones."""


class DrawnBatches:
    """New queries for each batch, labelled by the teacher, several batches at once."""

    def __init__(
        self, sampler: QuerySampler, teacher: TorchTeacher, batch_size: int, batches_per_epoch: int
    ) -> None:
        self._sampler = sampler
        self._teacher = teacher
        self._batch_size = batch_size
        self._per_epoch = batches_per_epoch
        self._at_once = max(1, _DRAWN_ROWS // batch_size)
        self._drawn: LabelledQueries | None = None
        self._position = 0

    @property
    def per_epoch(self) -> int:
        """Batches an epoch, which is a mere round number here."""
        return self._per_epoch

    def start_epoch(self) -> None:
        """Do nothing: no epoch differs from another."""

    def next(self) -> LabelledQueries:
        """Return the next batch, drawing more where there is none."""
        if self._drawn is None or self._position == self._at_once:
            queries = self._sampler.draw(self._batch_size * self._at_once)
            self._drawn, self._position = LabelledQueries(queries, self._teacher.label(queries)), 0
        # Every so many rows, since the sampler puts the kinds of queries one after the other.
        rows = slice(self._position, None, self._at_once)
        self._position += 1
        return LabelledQueries(self._drawn.queries[rows], self._drawn.targets[rows])

    def state_dict(self) -> dict[str, Tensor]:
        """Return what is drawn and not used; the random state says the rest."""
        if self._drawn is None or self._position == self._at_once:
            return {}
        return {
            "queries": self._drawn.queries,
            "targets": self._drawn.targets,
            "position": torch.tensor(self._position),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on with what was drawn."""
        self._drawn = None
        if state:
            device = self._teacher.device
            self._drawn = LabelledQueries(state["queries"].to(device), state["targets"].to(device))
            self._position = int(state["position"])
