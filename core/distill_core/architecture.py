"""How many heads and layers, and what teacher and student cost. Arithmetic only, no torch."""

from __future__ import annotations

import math

import msgspec

from distill_core.config import StudentConfig, StudentKind
from distill_core.errors import SettingsError

HEAD_CHOICES = (2, 3, 4, 6, 8, 12, 16)
BOOK_HEADS = 4


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


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One architecture to choose from, with the rules that propose it."""

    heads: int
    layers: int
    flat_heads: int
    cost: Cost
    rules: tuple[str, ...] = ()


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


def candidate_architectures(n: int, dimension: int, ff_dim: int = 512) -> tuple[Candidate, ...]:
    """Return the architectures worth a look for N heads, fewest layers first, each with its cost.

    For every fitting H the book rule's L and the smallest L with H^L >= N are offered.
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
    return tuple(
        Candidate(
            heads=heads,
            layers=layers,
            flat_heads=heads**layers,
            cost=encoder_cost(dimension, layers, ff_dim),
            rules=tuple(names),
        )
        for (heads, layers), names in sorted(rules.items(), key=lambda item: (item[0][1], item[0][0]))
    )


def lda_cost(num_heads: int, dimension: int) -> Cost:
    """Cost of the teacher: N centroids and N answers of length d.

    Scores and mixture take 2Nd operations each, normalising the query 3d, the softmax about 4N.
    """
    parameters = 2 * num_heads * dimension
    return Cost(parameters, 4 * num_heads * dimension + 3 * dimension + 4 * num_heads)


def encoder_cost(dimension: int, layers: int, ff_dim: int) -> Cost:
    """Cost of the published encoder on one token; H changes neither figure.

    Two d x d linear maps; each layer has four d x d attention maps, a feed-forward block and two layer
    norms. Operations count the matrix products, and 8d a layer norm.
    """
    square = dimension * dimension
    feed_forward = 2 * dimension * ff_dim
    layer = 4 * square + 4 * dimension + feed_forward + ff_dim + dimension + 4 * dimension
    products = 2 * square + layers * (4 * square + feed_forward)
    return Cost(
        parameters=2 * (square + dimension) + layers * layer,
        flops=2 * products + layers * 16 * dimension,
    )


def memory_cost(dimension: int, heads: int, layers: int, slots: int, width: int) -> Cost:
    """Cost of the memory student: L layers of H heads over K slots each, all heads sharing a width r.

    A layer maps d to r, compares with K keys and mixes K values of r numbers over all heads, and maps r to d.
    Operations count the matrix products, 3d for the length of the input and about 4 a slot for the softmax.
    """
    layer = 2 * dimension * width + 2 * slots * width + heads * slots + heads + dimension
    flops = 4 * dimension * width + 4 * slots * width + 3 * dimension + 4 * heads * slots
    return Cost(parameters=layers * layer, flops=layers * flops)


def memory_slots(slots: int, num_heads: int) -> int:
    """Return the slots of a memory student of a teacher with N heads: as asked for, and never more than N."""
    return min(slots, num_heads)


def memory_width(width: int, dimension: int) -> int:
    """Return the width of a memory student of queries (d,): as asked for, and never more than d."""
    return min(width, dimension)


def mlp_width(dimension: int, layers: int, ff_dim: int) -> int:
    """Return the width at which an mlp of L hidden layers has the encoder's parameters, or a little less.

    `(L - 1) w^2 + (2d + L) w + d` parameters are set equal to the encoder's and solved for w.
    """
    wanted = encoder_cost(dimension, layers, ff_dim).parameters - dimension
    half = 2 * dimension + layers
    if layers == 1:
        return max(1, wanted // half)
    return max(1, (math.isqrt(half * half + 4 * (layers - 1) * wanted) - half) // (2 * (layers - 1)))


def mlp_cost(dimension: int, layers: int, width: int) -> Cost:
    """Cost of an mlp with L hidden layers of one width."""
    products = 2 * dimension * width + (layers - 1) * width * width
    return Cost(parameters=products + layers * width + dimension, flops=2 * products)


def student_cost(student: StudentConfig, dimension: int, num_heads: int) -> Cost:
    """Cost of a student of these settings for a teacher of N heads; of the encoder, as published."""
    if student.kind == "memory":
        slots = memory_slots(student.slots, num_heads)
        width = memory_width(student.width, dimension)
        return memory_cost(dimension, student.heads, student.layers, slots, width)
    if student.kind == "mlp":
        return mlp_cost(dimension, student.layers, mlp_width(dimension, student.layers, student.ff_dim))
    return encoder_cost(dimension, student.layers, student.ff_dim)


def folded_encoder_cost(dimension: int, layers: int, ff_dim: int) -> Cost:
    """Cost of the encoder folded for inference: one d x d map a layer and one at the end."""
    square = dimension * dimension
    feed_forward = 2 * dimension * ff_dim
    layer = square + dimension + feed_forward + ff_dim + dimension + 2 * dimension
    products = (layers + 1) * square + layers * feed_forward
    return Cost(parameters=square + dimension + layers * layer, flops=2 * products + layers * 16 * dimension)


def inference_cost(student: StudentConfig, dimension: int, num_heads: int) -> Cost:
    """Cost of a student as it is used: folded where it folds."""
    if student.kind == "encoder":
        return folded_encoder_cost(dimension, student.layers, student.ff_dim)
    return student_cost(student, dimension, num_heads)


def default_shape(kind: StudentKind, n: int, dimension: int) -> tuple[int, int]:
    """Return (H, L) where none is given: the book rule, and one head in one layer for a memory.

    One head over N slots of the whole width is the form of the LDA itself (docs/recipe.md compares others).
    """
    return (1, 1) if kind == "memory" else default_architecture(n, dimension)


def _fitting_heads(dimension: int) -> tuple[int, ...]:
    return tuple(heads for heads in HEAD_CHOICES if dimension % heads == 0)


def _require_heads(n: int) -> None:
    if n < 1:
        raise SettingsError(f"A projection of {n} heads cannot be distilled.", "It needs at least one head.")
