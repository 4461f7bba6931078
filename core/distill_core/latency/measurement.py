"""What every measurement is: settings, events, statistics, and a result that outlives a stop. No torch."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from distill_core.arrays import Ids, Values
from distill_core.errors import SettingsError
from distill_core.evaluation.intervals import Estimate

BATCH_SIZES = (1, 8, 32, 256)
"""Queries a call in the search for the crossover, unless others are asked for."""

DEFAULT_MAX_HEADS = 1_048_576


class LatencySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long and where to time LDA and student.

    Attributes:
        batch_size: Queries a call in the batched case.
        blocks: Blocks of about 8 ms for each contestant and batch size; even, so that the order is balanced.
        device: As in training; all contestants but NumPy's run there.
        threads: CPU threads of torch, NumPy's BLAS and an index alike; 0 leaves their own choice.
        seed: Of the bootstrap.
    """

    batch_size: int = 32
    blocks: int = 20
    device: str = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch_size", "blocks"):
            if getattr(self, name) < 1:
                raise SettingsError(f"The {name} of a latency comparison must be at least 1.", field=name)


class ContestantsSettings(LatencySettings, frozen=True, kw_only=True):
    """How long and where to time every contestant.

    Attributes:
        compiled: Whether torch.compile takes part; it needs a compiler and half a minute.
    """

    compiled: bool = False


class CrossoverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where to search for the crossover, and for how long.

    Attributes:
        max_heads: The largest N; None for 1,048,576, or as many as fit in the free memory.
        budget_seconds: The search ends by then, with what it has.
        batch_sizes: Queries a call.
        device: As in training; all contestants run there.
        threads: CPU threads of torch and of NumPy's BLAS alike; 0 leaves their own choice.
        seed: Of the drawn heads and of the bootstrap.
    """

    max_heads: int | None = None
    budget_seconds: float = 60.0
    batch_sizes: tuple[int, ...] = BATCH_SIZES
    device: str = "auto"
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_heads is not None and self.max_heads < 1:
            raise SettingsError("The largest N is a whole number from 1 on.", field="max_heads")
        if not (math.isfinite(self.budget_seconds) and self.budget_seconds > 0):
            raise SettingsError("The time budget is a positive number of seconds.", field="budget_seconds")
        sizes = self.batch_sizes
        if not sizes or min(sizes) < 1 or len(set(sizes)) < len(sizes):
            raise SettingsError("The batch sizes must be different and at least 1.", field="batch_sizes")


Samples = dict[str, Values]
"""Microseconds of every call, by contestant and batch size, in the order in which they were timed."""

Event = TypeVar("Event", covariant=True)
Result = TypeVar("Result", bound=msgspec.Struct)

COMPLETE, BUDGET, INTERRUPTED = "complete", "budget", "interrupted"
"""How a measurement ends: by itself, by its time budget, or because it was stopped or failed."""


class Measurement(Protocol[Event, Result]):
    """One measurement. To stop is to stop pulling events; what was measured by then stays.

    Attributes:
        name: Short and stable, such as "latency": the stem of its files in the folder of a run.
        result_type: The kind of its result, which is the last event of one that ends by itself.
        milestones: Kinds of events after which the result so far is worth writing down, because the process
            may be ended in the minutes until the next.
    """

    name: str
    result_type: type[Result]
    milestones: tuple[type, ...] = ()

    def __iter__(self) -> Iterator[Event | Result]:
        """Measure."""

    def result(self) -> Result | None:
        """Return what is measured so far, also after a stop and a failure; None if that is nothing."""

    def samples(self) -> Samples:
        """Return the raw times so far."""

    def is_better_than(self, kept: Result | None) -> bool:
        """Return whether the result so far replaces one that a run has kept; None where it has none."""


def sample_name(contestant: str, batch_size: int, num_heads: int | None = None) -> str:
    """Return the name of an array, such as "lda, batch 1" or "lda, N 16, batch 1"."""
    heads = "" if num_heads is None else f", N {num_heads}"
    return f"{contestant}{heads}, batch {batch_size}"


def samples_bytes(samples: Mapping[str, Values]) -> bytes:
    """Return the content of an npz file, an array a name, microseconds a call."""
    content = io.BytesIO()
    arrays: dict[str, Any] = dict(samples)  # NumPy's types take a key for `allow_pickle`
    np.savez_compressed(content, **arrays)
    return content.getvalue()


Ends = tuple[float, float]
"""The ends of a 95 % interval, as files have them beside a figure."""

_DRAWS = 2000
_POINTS_A_BLOCK = 64
"""A block of more calls stands by so many of its quantiles, so that drawing blocks stays quick."""

UNSTEADY_SPREAD = 1.5
"""Blocks whose 90th percentile is this many times the 10th disagree."""


FEWEST_ROUNDS = 6
"""From so many on a ratio has a 95 % interval."""

PLACEMENT = 0.04
"""What the place of two models in memory makes of their ratio: 1.2 to 1.6 % as a standard deviation
(`python -m benchmarks.aa_latency --once`), some 3 % in 95 % of cases."""

LEFT_PLACEMENT = 0.01
"""What copies in every round leave of it, as the system gives back the pages that it was just given: at 535
heads the ratio of a measurement was off by 0.6 % in the mean of 60."""

_TAIL = 0.025


class TimeRatio(Estimate, frozen=True, rename={"value": "ratio"}):
    """A time over another one: an estimate that always has an interval. Files call its value `ratio`.

    Attributes:
        value: Median over the blocks of the paired ratio.
        low, high: Ends of the 95 % interval.
    """

    value: float
    low: float
    high: float


def ratio_interval(upper_us: ArrayLike, lower_us: ArrayLike, *, built_once: bool = False) -> TimeRatio:
    """Return upper over lower from the medians (blocks,) of paired blocks.

    Blocks of one round run side by side, so that a slow moment of the machine is in both and cancels. The
    ends are two of the ratios in their order: those between which a median lies in 95 % of samples or more,
    whatever the distribution (the sign test's interval). Below six rounds there are no such two, and the ends
    are the smallest and the largest. Both lie further out by `LEFT_PLACEMENT`.

    Args:
        upper_us: (blocks,).
        lower_us: (blocks,).
        built_once: Whether both lay at one place in memory in all blocks: another place changes the ratio by
            a few percent, so the interval is wider by `PLACEMENT` on both sides instead.

    Raises:
        ValueError: The blocks are not paired, or there are none.
    """
    from scipy.special import bdtr  # late: the app shows old results without it

    upper, lower = np.asarray(upper_us, np.float64), np.asarray(lower_us, np.float64)
    if upper.shape != lower.shape or upper.ndim != 1 or len(upper) == 0:
        raise ValueError(f"Blocks {upper.shape} and {lower.shape} are not paired.")
    ratios = np.sort(upper / lower)
    rounds = len(ratios)
    place = max(int((bdtr(np.arange(rounds), rounds, 0.5) <= _TAIL).sum()), 1)
    wider = 1.0 + (PLACEMENT if built_once else LEFT_PLACEMENT)
    low, high = float(ratios[place - 1] / wider), float(ratios[rounds - place] * wider)
    return TimeRatio(float(np.median(ratios)), low, high)


def percentile_interval(block_us: Sequence[Values], percent: float, *, seed: int = 0) -> Ends:
    """Return the 95 % interval of a percentile of all calls, from a bootstrap that resamples blocks.

    Args:
        block_us: Microseconds of the calls, an array a block; all of one length.
        percent: 50 for the median, 90 for the headline of the single-stream case.
        seed: Of the draws.
    """
    points = np.array([_thinned(block) for block in block_us])
    drawn = points[_drawn_blocks(len(points), seed)].reshape(_DRAWS, -1)
    return _ends(np.percentile(drawn, percent, axis=1))


def rate_interval(block_us: Sequence[Values], batch_size: int, *, seed: int = 0) -> Ends:
    """Return the 95 % interval of `queries_per_second` over blocks."""
    means = np.array([block.mean() for block in block_us])
    return _ends(1e6 * batch_size / means[_drawn_blocks(len(means), seed)].mean(axis=1))


def queries_per_second(block_us: Sequence[Values], batch_size: int) -> float:
    """Return all queries over all the time that they took, so that slow calls and blocks count."""
    return 1e6 * batch_size / float(np.concatenate(block_us).mean())


def _drawn_blocks(count: int, seed: int) -> Ids:
    return np.random.default_rng(seed).integers(count, size=(_DRAWS, count))


def _thinned(times: Values) -> Values:
    if len(times) <= _POINTS_A_BLOCK:
        return times
    return np.percentile(times, (np.arange(_POINTS_A_BLOCK) + 0.5) * 100 / _POINTS_A_BLOCK)


def _ends(values: Values) -> Ends:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def is_unsteady(block_medians_us: ArrayLike) -> bool:
    """Return whether the blocks of one contestant disagree: p90 above 1.5 times p10 of their medians."""
    low, high = np.percentile(np.asarray(block_medians_us, np.float64), [10, 90])
    return bool(high > UNSTEADY_SPREAD * low)


def count_outliers(times: Values) -> int:
    """Count the times outside p25 - 3 to p75 + 3 interquartile ranges (Tukey's severe outliers)."""
    lower, upper = np.percentile(times, [25, 75])
    reach = 3 * (upper - lower)
    return int(((times < lower - reach) | (times > upper + reach)).sum())


def pareto_best(costs: Sequence[tuple[float, ...]]) -> list[bool]:
    """Return of each whether no other one costs at most as much in everything and less in something."""
    return [not any(_dominates(other, mine) for other in costs) for mine in costs]


def _dominates(other: tuple[float, ...], mine: tuple[float, ...]) -> bool:
    return other != mine and all(theirs <= own for theirs, own in zip(other, mine, strict=True))
