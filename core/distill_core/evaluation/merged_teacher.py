"""Smaller teachers: heads merged by spherical k-means, or scores and answers cut to a rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distill_core.architecture import Cost, lda_cost
from distill_core.arrays import Ids, Matrix, chunks, group_sums, nearest_rows, unit_rows
from distill_core.teacher import MultiHeadLDA

MAX_GROUPS = 1024
"""More groups than this are not sought: their k-means would take minutes."""

_RESTARTS = 4
_MAX_ROUNDS = 50
_LARGE = 4096
"""Rows above which one start counts, and rounds end early."""

_ROWS_A_GROUP = 32
"""Of many rows, and more than this a group, so many are drawn to seek centres by; all are then assigned."""

_FIRST_OF = 4
"""The first centres of many rows are drawn from every fourth of these."""

_SETTLED = 0.02
"""Share of many rows that may still move: the rounds after would raise the cohesion by a thousandth."""


@dataclass(frozen=True, slots=True)
class MergedTeacher:
    """`p(q) = sum_j softmax(cos(q, c_j) / tau + log m_j)_j a_j` over groups of m_j heads.

    If the heads of a group had one centroid, this would be the teacher itself: m equal scores add up to
    one score plus log m, and their answers mix in equal parts.

    Attributes:
        centroids: (N', d), unit rows.
        answers: (N', d), the means of the groups' answers.
        log_sizes: (N',).
        temperature: The teacher's.
    """

    centroids: Matrix
    answers: Matrix
    log_sizes: Matrix
    temperature: float

    @property
    def cost(self) -> Cost:
        """That of an LDA of N' heads, and a number a head for its size."""
        groups, dimension = self.centroids.shape
        cost = lda_cost(groups, dimension)
        return Cost(parameters=cost.parameters + groups, flops=cost.flops + groups)

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        out = np.empty((len(queries), self.answers.shape[1]), np.float32)
        for part in chunks(len(queries), len(self.centroids)):
            scores = unit_rows(queries[part]) @ self.centroids.T / np.float32(self.temperature)
            scores += self.log_sizes
            scores -= scores.max(axis=1, keepdims=True)
            weights = np.exp(scores)
            out[part] = (weights / weights.sum(axis=1, keepdims=True)) @ self.answers
        return out


def merged_sizes(num_heads: int) -> tuple[int, ...]:
    """Return the N' that the ladder tries: a quarter and a half of the heads, at least 2, each once."""
    sizes = {min(num_heads // share, MAX_GROUPS) for share in (4, 2)}
    return tuple(sorted(size for size in sizes if size >= 2))


def group_heads(teacher: MultiHeadLDA, num_groups: int, seed: int = 0) -> Ids:
    """Return the group (N,) of each head, near centroids together."""
    return spherical_kmeans(unit_rows(teacher.centroids), num_groups, seed)


def merge_heads(teacher: MultiHeadLDA, num_groups: int, seed: int = 0) -> MergedTeacher:
    """Merge the heads into groups of near centroids."""
    return merged_by(teacher, group_heads(teacher, num_groups, seed))


def merged_by(teacher: MultiHeadLDA, groups: Ids) -> MergedTeacher:
    """Merge the heads by their groups (N,), none of which is empty."""
    num_groups = int(groups.max()) + 1
    sizes = np.bincount(groups).astype(np.float32)
    answers = group_sums(teacher.answers, groups, num_groups) / sizes[:, None]
    centroids = unit_rows(group_sums(unit_rows(teacher.centroids), groups, num_groups))
    return MergedTeacher(centroids, answers.astype(np.float32), np.log(sizes), teacher.temperature)


@dataclass(frozen=True, slots=True)
class SpreadTeacher:
    """Merged heads that know how their heads spread: their second moments, to a low rank.

    With t = K_j' q / tau, where K_j K_j' is the covariance of a group's centroids along its main axes, the
    group weighs m_j exp(q c_j / tau + s |t|^2 / 2) and answers a_j + s A_j t, A_j the covariance of
    its answers with the heads' places on these axes: exact for a Gaussian group and s = 1.

    Attributes:
        centroids: (N', d), means of the groups' unit centroids.
        answers: (N', d), means of their answers.
        log_sizes: (N',).
        axes: K, (r, N', d).
        slopes: A, (r, N', d).
        temperature: The teacher's.
        share: s, as real groups are none; 0 is the merged teacher without its spread.
    """

    centroids: Matrix
    answers: Matrix
    log_sizes: Matrix
    axes: Matrix
    slopes: Matrix
    temperature: float
    share: float = 1.0

    @property
    def cost(self) -> Cost:
        """That of an LDA of (1 + r) N' heads, and of the sizes."""
        rank, groups, dimension = self.axes.shape
        cost = lda_cost((1 + rank) * groups, dimension)
        return Cost(parameters=cost.parameters + groups, flops=cost.flops + groups)

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        out = np.empty((len(queries), self.answers.shape[1]), np.float32)
        for part in chunks(len(queries), (1 + len(self.axes)) * len(self.centroids)):
            units = unit_rows(queries[part]) / np.float32(self.temperature)
            places = units @ self.axes.transpose(0, 2, 1)
            scores = units @ self.centroids.T + self.log_sizes
            scores += np.float32(self.share / 2) * np.square(places).sum(axis=0)
            weights = np.exp(scores - scores.max(axis=1, keepdims=True))
            weights /= weights.sum(axis=1, keepdims=True)
            moved = (weights * places) @ self.slopes
            out[part] = weights @ self.answers + np.float32(self.share) * moved.sum(axis=0)
        return out


def spread_of(teacher: MultiHeadLDA, groups: Ids, rank: int) -> SpreadTeacher:
    """Merge heads by group (N,), each group with its r main axes."""
    heads, answers, count = teacher.unit_centroids(), teacher.answers, int(groups.max()) + 1
    sizes = np.bincount(groups, minlength=count).astype(np.float32)
    centroid, answer = (
        (group_sums(rows, groups, count) / sizes[:, None]).astype(np.float32) for rows in (heads, answers)
    )
    axes, slopes = (np.zeros((rank, count, heads.shape[1]), np.float32) for _ in range(2))
    for group, members in enumerate(
        np.split(np.argsort(groups, kind="stable"), np.cumsum(sizes)[:-1].astype(int))
    ):
        centred = heads[members] - centroid[group]
        kept = np.linalg.svd(centred, full_matrices=False)[2][:rank]
        places = centred @ kept.T
        lengths = np.sqrt(np.square(places).mean(axis=0))
        axes[: len(kept), group] = kept * lengths[:, None]
        along = places / np.maximum(lengths, np.float32(1e-12)) / len(members)
        slopes[: len(kept), group] = along.T @ (answers[members] - answer[group])
    return SpreadTeacher(centroid, answer, np.log(sizes), axes, slopes, teacher.temperature)


@dataclass(frozen=True, slots=True)
class LowRankTeacher:
    """`p(q) = softmax(q A B) C D`: the teacher's two products, each by two thin matrices of rank r.

    Attributes:
        into: A, (d, r).
        out_of: B, (r, N); its scores differ from the teacher's, over tau, by what is the same for every head.
        answers: C, (N, r).
        axes: D, (r, d).
    """

    into: Matrix
    out_of: Matrix
    answers: Matrix
    axes: Matrix

    @property
    def cost(self) -> Cost:
        """Four thin products, the query's length and the softmax."""
        dimension, heads = self.into.shape[0], self.out_of.shape[1]
        parameters = 2 * self.into.shape[1] * (dimension + heads)
        return Cost(parameters=parameters, flops=2 * parameters + 3 * dimension + 4 * heads)

    def project(self, queries: Matrix) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""
        out = np.empty((len(queries), self.axes.shape[1]), np.float32)
        for part in chunks(len(queries), self.out_of.shape[1]):
            scores = unit_rows(queries[part]) @ self.into @ self.out_of
            scores -= scores.max(axis=1, keepdims=True)
            weights = np.exp(scores)
            out[part] = (weights @ self.answers / weights.sum(axis=1, keepdims=True)) @ self.axes
        return out


def low_ranks(num_heads: int, dimension: int) -> tuple[int, ...]:
    """Return the ranks that the ladder tries: at half and three quarters of the LDA's size, each once."""
    as_large = num_heads * dimension / (num_heads + dimension)
    return tuple(sorted({rank for rank in (int(as_large / 2), int(as_large * 3 / 4)) if rank >= 1}))


def cut_rank(teacher: MultiHeadLDA, rank: int) -> LowRankTeacher:
    """Cut centroids and answers to a rank, each by the singular vectors that lose least.

    These are the best of their rank in squared error (Eckart and Young, 1936). The centroids' mean
    is taken off first: it adds the same to every score, which softmax does not see.
    """
    centroids = teacher.unit_centroids()
    mean = centroids.mean(axis=0)
    into, axes = _main_axes(centroids, rank, mean), _main_axes(teacher.answers, rank)
    out_of = into.T @ centroids.T
    out_of -= (mean @ into)[:, None]
    out_of /= np.float32(teacher.temperature)
    return LowRankTeacher(into, out_of, teacher.answers @ axes, axes.T)


def _main_axes(rows: Matrix, rank: int, origin: Matrix | float = 0.0) -> Matrix:
    """Return the right singular vectors (d, rank) of rows (n, d) less an origin (d,), the largest ones."""
    products = np.zeros((rows.shape[1],) * 2)
    for part in chunks(len(rows), rows.shape[1]):
        wide = rows[part].astype(np.float64) - origin
        products += wide.T @ wide
    axes: Matrix = np.linalg.eigh(products)[1][:, -rank:].astype(np.float32)
    return axes


def spherical_kmeans(rows: Matrix, num_groups: int, seed: int = 0) -> Ids:
    """Return the group (n,) of each unit row; every group has at least one member.

    Lloyd's rounds with the cosine: a row joins the nearest centre, a centre is the direction of its members'
    sum (Dhillon and Modha, "Concept decompositions for large sparse text data using clustering", 2001).
    The best of four starts by k-means++ counts. More than 4,096 rows have one start, which ends when next to
    none moves, and centres are sought by a part of very many. Scikit-learn has no spherical k-means, and its
    import alone would hold up a running app for a second.
    """
    best: tuple[float, Ids, Matrix] | None = None
    rng = np.random.default_rng(seed)
    part = _part(rows, num_groups, rng)
    some = part if len(part) == len(rows) else part[::_FIRST_OF]
    for _ in range(_RESTARTS if len(rows) <= _LARGE else 1):
        groups, centres, cohesion = _lloyd(part, _first_centres(some, num_groups, rng))
        if best is None or cohesion > best[0]:
            best = (cohesion, groups, centres)
    assert best is not None
    return best[1] if len(part) == len(rows) else _assign(rows, best[2])[0]


def _part(rows: Matrix, num_groups: int, rng: np.random.Generator) -> Matrix:
    """Return the rows that centres are sought by: all, or a part of many."""
    count = max(_ROWS_A_GROUP * num_groups, _LARGE)
    if len(rows) <= count:
        return rows
    return rows[np.sort(rng.choice(len(rows), count, replace=False))]


def _first_centres(rows: Matrix, num_groups: int, rng: np.random.Generator) -> Matrix:
    """Draw rows that are far from each other, by k-means++ (Arthur and Vassilvitskii, 2007).

    A row is drawn in proportion to its squared distance to the nearest one drawn, which is 2 (1 - cosine).
    """
    chosen = [int(rng.integers(len(rows)))]
    distances = np.full(len(rows), np.inf)
    while len(chosen) < num_groups:
        distances = np.minimum(distances, np.maximum(1.0 - rows @ rows[chosen[-1]], 0.0))
        total = float(distances.sum())
        shares = distances / total if total > 0 else None
        chosen.append(int(rng.choice(len(rows), p=shares)))
    return rows[chosen]


def _lloyd(rows: Matrix, centres: Matrix) -> tuple[Ids, Matrix, float]:
    """Return the groups (n,), the centres that they were assigned by, and the cohesion."""
    groups, cosines = _assign(rows, centres)
    most_moving = 0 if len(rows) <= _LARGE else _SETTLED * len(rows)
    for _ in range(_MAX_ROUNDS):
        centres = unit_rows(group_sums(rows, groups, len(centres)))
        before = groups
        groups, cosines = _assign(rows, centres)
        if np.count_nonzero(groups != before) <= most_moving:
            break
    return groups, centres, float(cosines.sum())


def _assign(rows: Matrix, centres: Matrix) -> tuple[Ids, Matrix]:
    """Return each row's nearest centre and its cosine; an empty group takes the worst placed row."""
    groups, cosines = nearest_rows(rows, centres)
    sizes = np.bincount(groups, minlength=len(centres))
    for empty in np.flatnonzero(sizes == 0):
        row = int(np.argmin(np.where(sizes[groups] > 1, cosines, np.inf)))
        sizes[groups[row]] -= 1
        sizes[empty] = 1
        groups[row], cosines[row] = empty, 1.0
    return groups, cosines
