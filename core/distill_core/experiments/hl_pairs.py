"""Students with the same H^L, side by side: what the claim says is that they err alike. NumPy only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from distill_core.evaluation.intervals import Estimate
from distill_core.experiments.hl_events import HlCell
from distill_core.experiments.hl_regression import DRAWS, log_error

_PERCENTILES = (2.5, 97.5)
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
