"""Which of heads and layers matter: a regression over all cells, and pairs that differ in one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Values
from distill_core.evaluation.intervals import Estimate
from distill_core.experiments.hl_events import Explained, HlCell

FLAT, UP_TO_N, PER_TEACHER_HEAD = "H^L", "min(H^L, N)", "H^L / N"

EXPLAINERS: dict[str, Callable[[HlCell], float]] = {
    "H": lambda cell: math.log(cell.heads),
    "L": lambda cell: float(cell.layers),
    "H·L": lambda cell: math.log(cell.heads * cell.layers),
    FLAT: lambda cell: cell.layers * math.log(cell.heads),
    UP_TO_N: lambda cell: min(cell.layers * math.log(cell.heads), math.log(cell.teacher_heads)),
    "parameters": lambda cell: math.log(cell.parameters),
}
"""What is tried: a power law in H, H·L, H^L and parameters, an exponential in L, and H^L that stops at N."""

DRAWS = 2000
SMALLEST_ERROR = 1e-12
"""Below this a mean of 1 - cosine is rounding."""

_PERCENTILES = (2.5, 97.5)
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class _Sample:
    """Log errors with the quantities, cell by cell, and draws of cells from them.

    Attributes:
        log_errors: (n,).
        quantities: (n,) by name.
        log_teachers: (n,) log N.
        teachers: (n,) the number of each cell's N, counted from 0.
        combinations: (n,) the number of each cell's N, H and L, counted from 0.
        draws: (draws, m) rows of cells.
    """

    log_errors: Values
    quantities: dict[str, Values]
    log_teachers: Values
    teachers: Ids
    combinations: Ids
    draws: Ids


class HlRegression:
    """The regressions over the cells of one kind of student.

    Args:
        cells: One or more.
        draws: Of the bootstrap.
        seed: Of the bootstrap.
    """

    def __init__(self, cells: Sequence[HlCell], *, draws: int = DRAWS, seed: int = 0) -> None:
        self._sample = _sample(cells, draws, np.random.default_rng(seed))

    def explained(self) -> tuple[Explained, ...]:
        """Return each quantity alone, after the means of each N are taken out."""
        sample = self._sample
        everything = np.arange(len(sample.log_errors))[None, :]
        found = {name: _fits(sample, values, everything) for name, values in sample.quantities.items()}
        drawn = {name: _fits(sample, values, sample.draws)[0] for name, values in sample.quantities.items()}
        values = {name: float(r2[0]) for name, (r2, _) in found.items()}
        defined = {name: value for name, value in values.items() if math.isfinite(value)}
        best = max(defined, key=lambda name: defined[name]) if defined else ""
        return tuple(
            Explained(
                name=name,
                r2=_estimate(values[name], drawn[name]),
                slope=_number(float(found[name][1][0])),
                behind_best=Estimate(None)
                if name == best or name not in defined
                else _estimate(values[best] - values[name], drawn[best] - drawn[name]),
            )
            for name in EXPLAINERS
        )

    def across_teachers(self) -> Explained:
        """Return H^L / N with one line for all N, of the whole variance about the mean of all cells."""
        sample = self._sample
        everything = np.arange(len(sample.log_errors))[None, :]
        one = np.zeros_like(sample.teachers)
        values = sample.quantities[FLAT] - sample.log_teachers
        found, slope = _fits(sample, values, everything, one)
        drawn, _ = _fits(sample, values, sample.draws, one)
        return Explained(
            name=PER_TEACHER_HEAD,
            r2=_estimate(float(found[0]), drawn),
            slope=_number(float(slope[0])),
            behind_best=Estimate(None),
        )

    def ceiling(self) -> float | None:
        """Return the share of the variance that any function of N, H and L could explain at most."""
        sample = self._sample
        total = np.square(_centred(sample.log_errors[None], sample.teachers[None])).sum()
        left = np.square(_centred(sample.log_errors[None], sample.combinations[None])).sum()
        return 1.0 - float(left / total) if total > _ROUNDING else None


def log_error(error: float) -> float:
    """Return the log of an error, of rounding instead of 0."""
    return math.log(max(error, SMALLEST_ERROR))


def _sample(cells: Sequence[HlCell], draws: int, rng: np.random.Generator) -> _Sample:
    numbers = np.array([cell.teacher_heads for cell in cells])
    shapes = np.array([(cell.teacher_heads, cell.heads, cell.layers) for cell in cells])
    combinations = np.unique(shapes, axis=0, return_inverse=True)[1].reshape(-1)
    teachers = np.unique(numbers, return_inverse=True)[1]
    return _Sample(
        log_errors=np.array([log_error(cell.test_error) for cell in cells]),
        quantities={name: np.array([read(cell) for cell in cells]) for name, read in EXPLAINERS.items()},
        log_teachers=np.log(numbers),
        teachers=teachers,
        combinations=combinations,
        draws=_drawn_cells(teachers, combinations, draws, rng),
    )


def _drawn_cells(teachers: Ids, combinations: Ids, draws: int, rng: np.random.Generator) -> Ids:
    """Return rows (draws, m) of cells: combinations of each N with replacement, seeds in each likewise."""
    members = [np.flatnonzero(combinations == number) for number in range(combinations.max() + 1)]
    counts = np.array([len(rows) for rows in members])
    padded = np.stack([np.resize(rows, counts.max()) for rows in members])
    parts = []
    for teacher in range(teachers.max() + 1):
        own = np.unique(combinations[teachers == teacher])
        drawn = own[rng.integers(len(own), size=(draws, len(own)))]
        seeds = rng.integers(counts[drawn][..., None], size=(*drawn.shape, counts.max()))
        parts.append(padded[drawn[..., None], seeds].reshape(draws, -1))
    return np.concatenate(parts, axis=1)


def _fits(sample: _Sample, values: Values, rows: Ids, groups: Ids | None = None) -> tuple[Values, Values]:
    """Return R2 and slope (draws,) of one quantity over rows (draws, m); NaN where nothing varies."""
    own = (sample.teachers if groups is None else groups)[rows]
    x, y = _centred(values[rows], own), _centred(sample.log_errors[rows], own)
    xx, xy, yy = (x * x).sum(axis=1), (x * y).sum(axis=1), (y * y).sum(axis=1)
    varies = (xx > _ROUNDING) & (yy > _ROUNDING)
    r2 = np.divide(xy * xy, xx * yy, out=np.full(len(rows), np.nan), where=varies)
    slope = np.divide(xy, xx, out=np.full(len(rows), np.nan), where=varies)
    return r2, slope


def _centred(values: Values, groups: Ids) -> Values:
    """Return values (draws, m) minus the mean of their group in the same draw; groups (draws, m)."""
    out = values.copy()
    for group in np.unique(groups):
        inside = groups == group
        counts = np.maximum(inside.sum(axis=1), 1)
        means = np.where(inside, values, 0.0).sum(axis=1) / counts
        out -= np.where(inside, means[:, None], 0.0)
    return out


def _estimate(value: float, drawn: Values) -> Estimate:
    """Return a value with the middle 95 % of its draws, widened to hold the value itself."""
    if not math.isfinite(value):
        return Estimate(None)
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return Estimate(value)
    low, high = np.percentile(finite, _PERCENTILES)
    return Estimate(value, min(float(low), value), max(float(high), value))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


_Pair = tuple[int, int, int, int]


def equal_flat_ratio(cells: Sequence[HlCell], *, seed: int = 0) -> Estimate:
    """Return the error of the deeper over that of the shallower of two students with equal H^L, N and seed.

    The geometric mean over all pairs; its interval is from a bootstrap of the pairs of shapes, and of
    the seeds in each. H = 1 has H^L = 1 at every depth and is left out.

    Args:
        cells: Of one kind of student.
        seed: Of the bootstrap.
    """
    ratios: dict[_Pair, list[float]] = defaultdict(list)
    for pair, ratio in _log_ratios(cells):
        ratios[pair].append(ratio)
    if not ratios:
        return Estimate(None)
    pairs = list(ratios.values())
    value = float(np.mean([ratio for pair in pairs for ratio in pair]))
    low, high = np.percentile(_drawn_means(pairs, np.random.default_rng(seed)), _PERCENTILES)
    ends = value, min(float(low), value), max(float(high), value)
    return Estimate(*(float(np.exp(end)) for end in ends))


def _log_ratios(cells: Sequence[HlCell]) -> Iterator[tuple[_Pair, float]]:
    """Yield N, H^L, the shallower and the deeper L, and the log of the ratio of the errors."""
    alike: dict[tuple[int, int, int], list[HlCell]] = defaultdict(list)
    for cell in cells:
        if cell.heads > 1:
            alike[cell.teacher_heads, cell.flat_heads, cell.seed].append(cell)
    for (number, flat, _), group in alike.items():
        ordered = sorted(group, key=lambda cell: cell.layers)
        for shallow, deep in combinations(ordered, 2):
            pair = number, flat, shallow.layers, deep.layers
            yield pair, log_error(deep.test_error) - log_error(shallow.test_error)


def _drawn_means(pairs: Sequence[Sequence[float]], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the mean of pairs drawn with replacement, and of seeds drawn in each, (draws,)."""
    counts = np.array([len(pair) for pair in pairs])
    padded = np.stack([np.resize(pair, counts.max()) for pair in pairs])
    chosen = rng.integers(len(pairs), size=(DRAWS, len(pairs)))
    seeds = rng.integers(counts[chosen][..., None], size=(*chosen.shape, counts.max()))
    means: NDArray[np.float64] = padded[chosen[..., None], seeds].mean(axis=(1, 2))
    return means
