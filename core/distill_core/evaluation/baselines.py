"""The ladder: simple things that any student must beat, fitted on the training queries alone.

Every rung is exact or closed form and takes seconds. What has a strength to choose chooses it by the mean
cosine on the validation queries; no rung sees a test query before it is asked to predict one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from distill_core.architecture import Cost
from distill_core.arrays import Ids, Matrix, Values, chunks, nearest_rows, unit_rows
from distill_core.evaluation.merged_teacher import cut_rank, low_ranks, merge_heads, merged_sizes
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.teacher import MultiHeadLDA

Search = Callable[[Matrix], tuple[Ids, Matrix]]
"""From unit queries (n, d) to the numbers (n, k) of near heads and their cosines (n, k)."""

STRENGTHS = np.logspace(-8, 3, 45)
"""Strengths tried, in units of the mean eigenvalue: from almost none to almost a constant."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """`p = q B + b`.

    Attributes:
        matrix: B, (d_in, d_out).
        intercept: b, (d_out,).
        strength: The chosen one, in the units of `STRENGTHS`.
    """

    matrix: Matrix
    intercept: Matrix
    strength: float

    def predict(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d_out) of queries (n, d_in)."""
        projections: Matrix = queries @ self.matrix + self.intercept
        return projections


def fit_ridge(
    queries: ArrayLike, targets: ArrayLike, validation_queries: ArrayLike, validation_targets: ArrayLike
) -> Ridge:
    """Fit on queries (n, d_in) and targets (n, d_out); the strength is that of the best validation cosine.

    One eigendecomposition X'X = V diag(e) V' of the centred queries serves every strength a:
    B = V diag(1 / (e + a)) V' X'Y (Hastie, Tibshirani, Friedman, "The Elements of Statistical Learning",
    3.4.1). The intercept is not penalised. Of equal cosines the stronger penalty is taken.
    """
    rows, labels = np.asarray(queries, np.float64), np.asarray(targets, np.float64)
    mean_row, mean_label = rows.mean(axis=0), labels.mean(axis=0)
    centred = rows - mean_row
    scales, axes = np.linalg.eigh(centred.T @ centred)
    scales = np.maximum(scales, 0.0)
    fitted = axes.T @ (centred.T @ (labels - mean_label))
    seen = (np.asarray(validation_queries, np.float64) - mean_row) @ axes
    unit = float(scales.mean()) or 1.0

    def shrunk(strength: float) -> Values:
        coefficients: Values = fitted / (scales + strength * unit)[:, None]
        return coefficients

    def cosine(strength: float) -> float:
        predicted = seen @ shrunk(strength) + mean_label
        return float(cosine_similarities(predicted, validation_targets).mean())

    strength = float(max(STRENGTHS[::-1], key=cosine))
    matrix = axes @ shrunk(strength)
    intercept = mean_label - mean_row @ matrix
    return Ridge(matrix.astype(np.float32), intercept.astype(np.float32), strength)


TOP_K = (2, 8, 32)

Projector = Callable[[Matrix], Matrix]


@dataclass(frozen=True, slots=True)
class Baseline:
    """A fitted rung of the ladder.

    Attributes:
        name: Short and stable, for files and tests: "ridge", "top_2", "merged_9".
        label: In words, for people.
        cost: What it stores and computes for a query.
    """

    name: str
    label: str
    cost: Cost
    _project: Projector = field(repr=False)

    @property
    def parameters(self) -> int:
        """Numbers stored."""
        return self.cost.parameters

    def predict(self, queries: ArrayLike) -> Matrix:
        """Return the projections (n, d) of queries (n, d), float32."""
        return np.asarray(self._project(np.atleast_2d(np.asarray(queries, np.float32))), np.float32)


@dataclass(frozen=True, slots=True)
class LadderData:
    """What the rungs are fitted on.

    Attributes:
        teacher: Whose heads the routing rungs use.
        train_queries: (n, d).
        train_targets: (n, d), the teacher's projections of them.
        validation_queries: (m, d), m >= 1, which choose the ridge's strength.
        validation_targets: (m, d).
        seed: Of the k-means that merges heads.
    """

    teacher: MultiHeadLDA
    train_queries: Matrix
    train_targets: Matrix
    validation_queries: Matrix
    validation_targets: Matrix
    seed: int = 0


RUNGS: list[Callable[[LadderData], Iterable[Baseline]]] = [
    lambda data: [constant_output(data.train_targets)],
    lambda data: [query_itself(data.teacher.dimension)],
    lambda data: [nearest_query(data.train_queries, data.train_targets)],
    lambda data: [nearest_centroid(data.teacher)],
    lambda data: (top_k_routing(data.teacher, k) for k in TOP_K if k < data.teacher.num_heads),
    lambda data: [
        ridge_regression(
            data.train_queries, data.train_targets, data.validation_queries, data.validation_targets
        )
    ],
    lambda data: (
        low_rank_lda(data.teacher, rank) for rank in low_ranks(data.teacher.num_heads, data.teacher.dimension)
    ),
    lambda data: (
        merged_heads(data.teacher, size, data.seed) for size in merged_sizes(data.teacher.num_heads)
    ),
]
"""What fits the rungs, the fast ones first. A baseline is added by a line here, and by nothing else."""


def ladder(
    teacher: MultiHeadLDA,
    train_queries: Matrix,
    train_targets: Matrix,
    validation_queries: Matrix,
    validation_targets: Matrix,
    seed: int = 0,
) -> Iterator[Baseline]:
    """Fit the rungs one after the other, the fast ones first; to stop is to stop pulling.

    The arguments are those of `LadderData`.
    """
    data = LadderData(teacher, train_queries, train_targets, validation_queries, validation_targets, seed)
    for fit in RUNGS:
        yield from fit(data)


def constant_output(train_targets: Matrix) -> Baseline:
    """Return the mean of the training targets, whatever is asked."""
    mean = np.asarray(train_targets, np.float64).mean(axis=0).astype(np.float32)
    return Baseline(
        "constant",
        "constant mean output",
        Cost(parameters=len(mean), flops=0),
        lambda queries: np.tile(mean, (len(queries), 1)),
    )


def query_itself(dimension: int) -> Baseline:
    """Return the query as it is: what retrieval does without any projection."""
    return Baseline("query", "query itself", Cost(parameters=0, flops=0), lambda queries: queries)


def nearest_query(train_queries: Matrix, train_targets: Matrix) -> Baseline:
    """Return the target of the training query with the largest cosine; the first of equals."""
    known, targets = unit_rows(train_queries), np.asarray(train_targets, np.float32)
    count, dimension = known.shape
    return Baseline(
        "nearest_query",
        "nearest training query's output",
        Cost(parameters=2 * count * dimension, flops=2 * count * dimension + 3 * dimension),
        lambda queries: targets[nearest_rows(unit_rows(queries), known)[0]],
    )


def nearest_centroid(teacher: MultiHeadLDA) -> Baseline:
    """Return the answer of the best head alone: the teacher at a temperature towards 0."""
    centroids = unit_rows(teacher.centroids)
    return Baseline(
        "nearest_centroid",
        "nearest centroid's answer",
        Cost(parameters=2 * centroids.size, flops=2 * centroids.size + 3 * teacher.dimension),
        lambda queries: teacher.answers[nearest_rows(unit_rows(queries), centroids)[0]],
    )


def top_k_routing(teacher: MultiHeadLDA, k: int) -> Baseline:
    """Return the exact teacher restricted to each query's k best heads, their weights adding to 1 again."""
    size = teacher.centroids.size
    nearest = NearestHeads(teacher, exact_search(teacher, k))

    def project(queries: Matrix) -> Matrix:
        out = np.empty((len(queries), teacher.dimension), np.float32)
        for part in chunks(len(queries), max(teacher.num_heads, k * teacher.dimension)):
            out[part] = nearest.project(queries[part])
        return out

    flops = 2 * size + 2 * k * teacher.dimension + 3 * teacher.dimension + 4 * k
    return Baseline(f"top_{k}", f"top-{k} routing", Cost(parameters=2 * size, flops=flops), project)


class NearestHeads:
    """`p(q)` over the heads that a search finds, their softmax taken anew.

    Args:
        teacher: Gives the answers and the temperature.
        search: Finds the heads.
    """

    def __init__(self, teacher: MultiHeadLDA, search: Search) -> None:
        self._teacher, self._search = teacher, search

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))[:, None]
        heads, scores = self._search(queries / np.maximum(lengths, np.float32(1e-30)))
        scores = (scores - scores.max(axis=1, keepdims=True)) / np.float32(self._teacher.temperature)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        mixed: Matrix = np.einsum("nk,nkd->nd", scores, self._teacher.answers[heads])
        return mixed


def exact_search(teacher: MultiHeadLDA, count: int) -> Search:
    """Return the search that looks at every head, and sorts none."""
    directions = np.ascontiguousarray(teacher.unit_centroids().T)

    def search(queries: Matrix) -> tuple[Ids, Matrix]:
        scores = queries @ directions
        heads = np.argpartition(scores, -count, axis=1)[:, -count:]
        return heads, np.take_along_axis(scores, heads, axis=1)

    return search


def ridge_regression(
    train_queries: Matrix, train_targets: Matrix, validation_queries: Matrix, validation_targets: Matrix
) -> Baseline:
    """Return a linear map with intercept from the query's direction to the output."""
    ridge = fit_ridge(
        unit_rows(train_queries), train_targets, unit_rows(validation_queries), validation_targets
    )
    d_in, d_out = ridge.matrix.shape
    return Baseline(
        "ridge",
        "ridge regression",
        Cost(parameters=d_in * d_out + d_out, flops=2 * d_in * d_out + d_out + 3 * d_in),
        lambda queries: ridge.predict(unit_rows(queries)),
    )


def merged_heads(teacher: MultiHeadLDA, num_groups: int, seed: int) -> Baseline:
    """Return the teacher with its heads merged into N' < N: the right rival of any compression."""
    merged = merge_heads(teacher, num_groups, seed)
    return Baseline(f"merged_{num_groups}", f"LDA merged to {num_groups} heads", merged.cost, merged.project)


def low_rank_lda(teacher: MultiHeadLDA, rank: int) -> Baseline:
    """Return the teacher with its scores and its answers cut to a rank: what no training has to find."""
    low = cut_rank(teacher, rank)
    return Baseline(f"low_rank_{rank}", f"LDA of rank {rank}", low.cost, low.project)
