"""How many heads and layers, by the rules for H^L ≈ N, and what a teacher costs. No torch."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from distill_core.errors import SettingsError

HEAD_CHOICES = (2, 3, 4, 6, 8, 12, 16)
BOOK_HEADS = 4


Shape = Mapping[str, int | float | str]
"""The arguments that build a student's network, as they also stand in its file."""


class Cost(msgspec.Struct, frozen=True):
    """What one model holds and does.

    Attributes:
        parameters: Stored numbers.
        flops: Floating-point operations for one query; a multiplication and an addition count as two.
        latency_us: Measured microseconds a query; None if not measured.
    """

    parameters: int
    flops: int
    latency_us: float | None = None


def optimal_architecture(n: int, prefer_h: int = BOOK_HEADS) -> tuple[int, int]:
    """Return (H, L) by the published book rule: H given, L so that H^L is nearest to N.

    L is floor(log_H N) or one more, whichever H^L is nearer to N; a tie takes the smaller one, and L is
    at least 1. Integer powers only: log(64) / log(4) is not 3 in floating point.

    Raises:
        SettingsError: N is below 1, or H is below 2, for which H^L does not grow.
    """
    _require_heads(n)
    if prefer_h < 2:
        raise SettingsError(
            f"Heads H = {prefer_h} cannot follow H^L ≈ N.", "Take H of 2 or more.", field="heads"
        )
    layers = 0
    while prefer_h ** (layers + 1) <= n:
        layers += 1
    below, above = prefer_h**layers, prefer_h ** (layers + 1)
    nearest = layers if n - below <= above - n else layers + 1
    return prefer_h, max(nearest, 1)


def capacity_architecture(n: int, dimension: int) -> tuple[int, int]:
    """Return (H, L) by the capacity rule: the smallest L with H^L >= N, then the least excess, then H = 4.

    H is one of `HEAD_CHOICES` that divides the dimension.

    Raises:
        SettingsError: N is below 1, or none of the choices divides the dimension.
    """
    _require_heads(n)
    fitting = _fitting_heads(dimension)
    if not fitting:
        raise SettingsError(
            f"No head count of {', '.join(map(str, HEAD_CHOICES))} divides the dimension {dimension}.",
            "Set H = 1 by hand.",
            field="heads",
        )
    layers = 1
    while max(fitting) ** layers < n:
        layers += 1
    enough = [heads for heads in fitting if heads**layers >= n]
    return min(enough, key=lambda heads: (heads**layers - n, heads != BOOK_HEADS)), layers


def default_architecture(n: int, dimension: int) -> tuple[int, int]:
    """Return the book rule's (H, L), with the nearest fitting H where 4 does not divide the dimension."""
    fitting = _fitting_heads(dimension)
    if not fitting:
        return 1, 1
    return optimal_architecture(n, min(fitting, key=lambda heads: abs(heads - BOOK_HEADS)))


def proposed_architectures(n: int, dimension: int) -> dict[tuple[int, int], list[str]]:
    """Return the (H, L) worth a look for N heads, fewest layers first, each with the rules that propose it.

    For every H that fits the dimension the book rule's L and the smallest L with H^L >= N are offered.
    """
    rules: dict[tuple[int, int], list[str]] = {}
    for heads in _fitting_heads(dimension):
        enough = 1
        while heads**enough < n:
            enough += 1
        rules.setdefault((heads, enough), [])
        rules.setdefault(optimal_architecture(n, heads), [])
    rules.setdefault(default_architecture(n, dimension), []).append("book")
    if _fitting_heads(dimension):
        rules[capacity_architecture(n, dimension)].append("capacity")
    return dict(sorted(rules.items(), key=lambda item: (item[0][1], item[0][0])))


def lda_cost(num_heads: int, dimension: int) -> Cost:
    """Cost of the teacher: N centroids and N answers of length d.

    Scores and mixture take 2Nd operations each, normalising the query 3d, the softmax about 4N.
    """
    parameters = 2 * num_heads * dimension
    return Cost(parameters, 4 * num_heads * dimension + 3 * dimension + 4 * num_heads)


def require_divisible(dimension: int, heads: int, name: str = "dimension") -> None:
    """Check that H divides the dimension of the embeddings, or another number of this name.

    Raises:
        SettingsError: It does not; the hint names the nearest head counts that do.
    """
    if heads >= 1 and dimension % heads == 0:
        return
    fitting = [count for count in range(1, min(dimension, 64) + 1) if dimension % count == 0]
    nearest = sorted(sorted(fitting, key=lambda count: abs(count - heads))[:3])
    raise SettingsError(
        f"Heads H = {heads} does not divide the {name} {dimension}.",
        f"Take one of {', '.join(map(str, nearest))}.",
        field="heads",
    )


def _fitting_heads(dimension: int) -> tuple[int, ...]:
    return tuple(heads for heads in HEAD_CHOICES if dimension % heads == 0)


def _require_heads(n: int) -> None:
    if n < 1:
        raise SettingsError(f"A projection of {n} heads cannot be distilled.", "It needs at least one head.")
