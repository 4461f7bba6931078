"""Who is beaten by nobody."""

from __future__ import annotations

from collections.abc import Sequence

Costs = tuple[float, ...]


def pareto_best(costs: Sequence[Costs]) -> list[bool]:
    """Return of each whether no other one costs at most as much in everything and less in something."""
    return [not any(_dominates(other, mine) for other in costs) for mine in costs]


def _dominates(other: Costs, mine: Costs) -> bool:
    return other != mine and all(theirs <= own for theirs, own in zip(other, mine, strict=True))
