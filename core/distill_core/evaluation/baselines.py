"""The ladder: simple things that any student must beat, fitted on the training queries alone.

Every rung is exact or closed form and takes seconds. What has a strength to choose chooses it by the mean
cosine on the validation queries; no rung sees a test query before it is asked to predict one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from distill_core.architecture import Cost, lda_cost
from distill_core.arrays import (
    Ids,
    Matrix,
    Values,
    as_often,
    chunks,
    evenly_spread,
    mean_row,
    nearest_rows,
    unit_rows,
)
from distill_core.evaluation.merged_teacher import (
    cut_rank,
    group_heads,
    low_ranks,
    merged_by,
    merged_sizes,
    spread_of,
)
from distill_core.evaluation.metrics import cosine_similarities
from distill_core.evaluation.near_heads import (
    NearestHeads,
    TailedTeacher,
    code_search,
    exact_search,
    near_and_rest,
)
from distill_core.evaluation.ridge import fit_ridge
from distill_core.extras import is_installed
from distill_core.students.networks.head_rows import HeadRows
from distill_core.students.networks.routed_fields import RoutedFields
from distill_core.students.routed import LDA, RoutedConfig, routed_cost
from distill_core.teacher import MultiHeadLDA

TOP_K = (2, 8, 32)

_TAILED = 64
"""Heads that are computed exactly where a tail stands for the others."""

_LABELLED = 2_000
"""Training queries that a tail is fitted on, at most, and half as many of validation."""

_AXES = 8
"""Of a merged head, at most."""

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
        train_weights: (n,) how often each training query is asked; None: each counts once. A validation
            query stands as often among those as it is asked.
    """

    teacher: MultiHeadLDA
    train_queries: Matrix
    train_targets: Matrix
    validation_queries: Matrix
    validation_targets: Matrix
    seed: int = 0
    train_weights: Values | None = None


RUNGS: list[Callable[[LadderData], Iterable[Baseline]]] = [
    lambda data: [constant_output(data.train_targets, data.train_weights)],
    lambda data: [query_itself(data.teacher.dimension)],
    lambda data: [nearest_query(data.train_queries, data.train_targets)],
    lambda data: [nearest_centroid(data.teacher)],
    lambda data: (top_k_routing(data.teacher, k) for k in TOP_K if k < data.teacher.num_heads),
    lambda data: [
        ridge_regression(
            data.train_queries,
            data.train_targets,
            data.validation_queries,
            data.validation_targets,
            data.train_weights,
        )
    ],
    lambda data: (
        low_rank_lda(data.teacher, rank) for rank in low_ranks(data.teacher.num_heads, data.teacher.dimension)
    ),
    lambda data: merged_heads(data),
    lambda data: _for_many_heads(data) if data.teacher.num_heads > _TAILED else (),
]
"""What fits the rungs, the fast ones first. A baseline is added by a line here, and by nothing else."""


def ladder(data: LadderData) -> Iterator[Baseline]:
    """Fit the rungs one after the other, the fast ones first; to stop is to stop pulling."""
    for fit in RUNGS:
        yield from fit(data)


def constant_output(train_targets: Matrix, weights: Values | None = None) -> Baseline:
    """Return the mean of the training targets (n, d), as they count (n,), whatever is asked."""
    mean = mean_row(train_targets, weights).astype(np.float32)
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
    centroids = teacher.unit_centroids()
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


def ridge_regression(
    train_queries: Matrix,
    train_targets: Matrix,
    validation_queries: Matrix,
    validation_targets: Matrix,
    train_weights: Values | None = None,
) -> Baseline:
    """Return a linear map with intercept from the query's direction to the output."""
    seen, watched = unit_rows(train_queries), unit_rows(validation_queries)
    ridge = fit_ridge(seen, train_targets, watched, validation_targets, train_weights)
    d_in, d_out = ridge.matrix.shape
    return Baseline(
        "ridge",
        "ridge regression",
        Cost(parameters=d_in * d_out + d_out, flops=2 * d_in * d_out + d_out + 3 * d_in),
        lambda queries: ridge.predict(unit_rows(queries)),
    )


def merged_heads(data: LadderData) -> Iterator[Baseline]:
    """Return the teacher with its heads merged into N' < N: the right rival of any compression.

    Of many heads, the smaller ones follow once more, with their second moments.
    """
    teacher = data.teacher
    for place, size in enumerate(merged_sizes(teacher.num_heads)):
        groups = group_heads(teacher, size, data.seed)
        merged = merged_by(teacher, groups)
        yield Baseline(f"merged_{size}", f"LDA merged to {size} heads", merged.cost, merged.project)
        if place == 0 and teacher.num_heads > _TAILED:
            yield from spread_heads(data, groups)


def low_rank_lda(teacher: MultiHeadLDA, rank: int) -> Baseline:
    """Return the teacher with its scores and its answers cut to a rank: what no training has to find."""
    low = cut_rank(teacher, rank)
    return Baseline(f"low_rank_{rank}", f"LDA of rank {rank}", low.cost, low.project)


def _for_many_heads(data: LadderData) -> Iterator[Baseline]:
    """Yield the rivals of a student that computes near heads exactly."""
    yield from tailed_routing(data, _TAILED)
    yield from scanned_routing(data.teacher)
    yield int8_lda(data.teacher)


def tailed_routing(data: LadderData, k: int) -> Iterator[Baseline]:
    """Return the k best heads of N > k exactly, with a constant and with a ridge for all others."""
    count, weights = min(len(data.train_queries), _LABELLED), data.train_weights
    rows = evenly_spread(len(data.train_queries), count) if weights is None else as_often(weights, count)
    seen = evenly_spread(len(data.validation_queries), _LABELLED // 2)
    train = near_and_rest(data.teacher, data.train_queries[rows], data.train_targets[rows], k)
    valid = near_and_rest(data.teacher, data.validation_queries[seen], data.validation_targets[seen], k)
    for constant, tail in ((True, "constant"), (False, "ridge")):
        tailed = TailedTeacher.fitted(data.teacher, k, train, valid, constant=constant)
        yield Baseline(f"top_{k}_{tail}", f"top-{k} heads and a {tail}", tailed.cost, tailed.project)


_SCANNED = 32
"""Heads that the rival by a scan keeps at least: with nothing for the others, fewer would be a straw man."""


def scanned_routing(teacher: MultiHeadLDA) -> Iterator[Baseline]:
    """Return the heads that a routed student's scan finds, their weights adding to 1 again; needs faiss."""
    scans = [r for r in RoutedConfig().ladder(teacher.dimension, teacher.num_heads) if r.near == "scan"]
    if not scans or not is_installed("faiss"):
        return
    rung = next((one for one in scans if one.opened >= _SCANNED), scans[-1])
    search = code_search(teacher, rung.codes, rung.refined, rung.opened)
    cost = routed_cost(teacher.dimension, teacher.num_heads, 0, rung)
    yield Baseline(
        f"scan_{rung.opened}",
        f"top-{rung.opened} routing by a scan of codes",
        cost,
        NearestHeads(teacher, search).project,
    )


def int8_lda(teacher: MultiHeadLDA) -> Baseline:
    """Return the teacher with a byte for each number, and a scale for each vector."""
    keys, answers = (HeadRows.stored(rows, "int8") for rows in (teacher.unit_centroids(), teacher.answers))
    cost = lda_cost(teacher.num_heads, teacher.dimension)
    cost = Cost(parameters=cost.parameters + 2 * teacher.num_heads, flops=cost.flops)
    return Baseline(
        "int8", "LDA in int8", cost, RoutedFields(LDA, teacher.temperature, keys, answers).project
    )


def spread_heads(data: LadderData, groups: Ids) -> Iterator[Baseline]:
    """Return heads merged by group with their second moments, at most half as large as the LDA."""
    num_heads, size = data.teacher.num_heads, int(groups.max()) + 1
    rank = min(num_heads // (2 * size) - 1, _AXES, data.teacher.dimension)
    if rank < 1:
        return
    whole = spread_of(data.teacher, groups, rank)
    trials = [replace(whole, share=share) for share in (0.0, 0.25, 0.5, 1.0)]
    best = max(
        trials,
        key=lambda trial: cosine_similarities(
            trial.project(data.validation_queries), data.validation_targets
        ).mean(),
    )
    yield Baseline(f"spread_{size}", f"LDA merged to {size} heads of {rank} axes", best.cost, best.project)
