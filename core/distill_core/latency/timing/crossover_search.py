"""The search for the crossover: double N, drop what is decided, then halve around the sign changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from distill_core.errors import DeviceError
from distill_core.latency.crossover import (
    CURVES,
    CrossoverPoint,
    StudentTime,
    bracket_of,
    far_past,
    next_heads,
    ratios_of,
)
from distill_core.latency.measurement import (
    BUDGET,
    COMPLETE,
    Samples,
    is_unsteady,
    ratio_interval,
    sample_name,
)
from distill_core.latency.timing.calls import Call, Clock, TimedCalls
from distill_core.latency.timing.crossover_contestants import CallsAtN, CrossoverContestants

SMALLEST_HEADS = 16
ROUNDS, FEWEST_ROUNDS = 12, 6
_FAR = 4.0
_GROWING_SHARE = 0.6
_POINT_SHARE = 1 / 15
"""Of the budget; a point that has taken as long ends after the fewest rounds."""


class CrossoverSearch:
    """One search, as an iterator of points.

    Args:
        contestants: What is timed.
        max_heads: The largest N.
        batch_sizes: Queries a call.
        budget_seconds: By the given clock. Kept up to the time of one round of blocks, because no point is
            begun that would not fit, judged by the time that the last ones of its batch size took.
        seed: Of the bootstrap.
        clock: Nanoseconds.

    Attributes:
        points: What is measured so far.
        ended: "complete", or "budget" where time ended it; of a search that is over.
        samples: Microseconds of every call, by contestant, N and batch size.
    """

    def __init__(
        self,
        contestants: CrossoverContestants,
        *,
        max_heads: int,
        batch_sizes: Sequence[int],
        budget_seconds: float,
        seed: int,
        clock: Clock,
    ) -> None:
        self.points: list[CrossoverPoint] = []
        self.ended = COMPLETE
        self.samples: Samples = {}
        self._contestants = contestants
        self._max_heads = max_heads
        self._batch_sizes = tuple(batch_sizes)
        self._budget_seconds = budget_seconds
        self._seed = seed
        self._clock = clock
        self._started_ns = clock()
        self._costs: dict[int, list[tuple[int, float]]] = {}

    def __iter__(self) -> Iterator[CrossoverPoint]:
        yield from self._grow()
        yield from self._refine()

    def _grow(self) -> Iterator[CrossoverPoint]:
        """Take every batch size to its next N in turn; one that gets too dear is left to `_refine`."""
        heads = doublings(self._max_heads)
        places = dict.fromkeys(self._batch_sizes, 0)
        while places:
            for size in sorted(places, key=places.__getitem__):
                point = self._measured(heads[places[size]], size, _GROWING_SHARE, refining=False)
                if point is None:
                    del places[size]
                    continue
                yield point
                places[size] += 1
                far = far_past(point.fixed.over_lda) and far_past(point.grown.over_lda)
                if far or places[size] == len(heads):
                    del places[size]

    def _refine(self) -> Iterator[CrossoverPoint]:
        given_up: set[tuple[int, int]] = set()
        while True:
            wanted = [place for place in self._wanted() if place[1:] not in given_up]
            if not wanted:
                self.ended = BUDGET if given_up else COMPLETE
                return
            _, num_heads, size = min(wanted)
            point = self._measured(num_heads, size, 1.0, refining=True)
            if point is None:
                given_up.add((num_heads, size))
            else:
                given_up.clear()
                yield point

    def _wanted(self) -> Iterator[tuple[float, int, int]]:
        """Yield rank, next N and batch size of each bracket that can be found or narrowed.

        Those not found yet come first, the smallest N before the others, so that all sizes get as far; then
        the widest.
        """
        for size in self._batch_sizes:
            for curve in CURVES:
                ratios = ratios_of(self.points, size, curve)
                bracket, middle = bracket_of(ratios), next_heads(ratios)
                if middle is not None:
                    yield -(bracket.high or 1) / (bracket.low or 1), middle, size
                elif not bracket.reached and bracket.measured_to < self._max_heads:
                    yield -math.inf, self._next_doubling(bracket.measured_to), size

    def _next_doubling(self, measured_to: int) -> int:
        return next(heads for heads in doublings(self._max_heads) if heads > measured_to)

    def _measured(self, num_heads: int, size: int, share: float, *, refining: bool) -> CrossoverPoint | None:
        """Measure and keep a point; None if the time does not suffice."""
        started = self._elapsed()
        if started >= share * self._budget_seconds:
            return None
        if started + self._expected_seconds(num_heads, size) > share * self._budget_seconds:
            return None
        try:
            point = self._time(num_heads, size, refining=refining)
        except (RuntimeError, MemoryError) as error:
            reason = str(error).partition("\n")[0]
            raise DeviceError(f"The measurement at {num_heads:,} heads failed: {reason}") from error
        if point is not None:
            self._costs.setdefault(size, []).append((num_heads, self._elapsed() - started))
            self.points.append(point)
        return point

    def _expected_seconds(self, num_heads: int, size: int) -> float:
        """Return what a point takes by those of its batch size: as the next larger one, else by the last two.

        Points cost alike for small N, where blocks are of equal length, and as N for large ones; hence a line
        through the last two, and no more than in proportion to N.
        """
        costs = sorted(self._costs.get(size, []))
        larger = next((seconds for heads, seconds in costs if heads >= num_heads), None)
        if larger is not None or not costs:
            return larger or 0.0
        heads, seconds = costs[-1]
        before, seconds_before = costs[-2] if len(costs) > 1 else (0, seconds)
        slope = max(0.0, (seconds - seconds_before) / (heads - before))
        return min(seconds + slope * (num_heads - heads), seconds * num_heads / heads)

    def _time(self, num_heads: int, size: int, *, refining: bool) -> CrossoverPoint | None:
        started = self._elapsed()
        calls = self._contestants.calls(num_heads, size)
        timed = [self._timed(of_one) for of_one in (calls.lda, calls.fixed, calls.grown)]
        for contestant in timed:
            if self._elapsed() > self._budget_seconds:
                return None
            contestant.warm_up()
        until = min(self._budget_seconds, started + _POINT_SHARE * self._budget_seconds)
        for number in range(ROUNDS):
            if number < FEWEST_ROUNDS and self._elapsed() > self._budget_seconds:
                return None
            if number >= FEWEST_ROUNDS and (self._elapsed() > until or _far_from_one(timed)):
                break
            for contestant in timed if number % 2 == 0 else reversed(timed):
                contestant.time_block()
        for name, contestant in zip(("lda", "fixed", "grown"), timed, strict=True):
            self.samples[sample_name(name, size, num_heads)] = contestant.all_us()
        return self._point(num_heads, size, calls, timed, refining=refining)

    def _point(
        self, num_heads: int, size: int, calls: CallsAtN, timed: list[TimedCalls], *, refining: bool
    ) -> CrossoverPoint:
        lda, fixed, grown = (contestant.block_medians_us() / size for contestant in timed)
        fixed_time, grown_time = (
            StudentTime(
                layers=layers,
                us=float(np.median(blocks)),
                over_lda=ratio_interval(blocks, lda),
            )
            for layers, blocks in ((calls.fixed_layers, fixed), (calls.grown_layers, grown))
        )
        return CrossoverPoint(
            num_heads=num_heads,
            real_heads=self._contestants.real_heads(num_heads),
            batch_size=size,
            lda_us=float(np.median(lda)),
            fixed=fixed_time,
            grown=grown_time,
            blocks=len(lda),
            outliers=sum(contestant.outliers() for contestant in timed),
            unsteady=any(is_unsteady(blocks) for blocks in (lda, fixed, grown)),
            refining=refining,
            elapsed_seconds=self._elapsed(),
            budget_seconds=self._budget_seconds,
        )

    def _timed(self, calls: Sequence[Call]) -> TimedCalls:
        wait: Callable[[], object] = self._contestants.synchronize
        return TimedCalls(calls, self._clock, wait, in_order=self._contestants.in_order)

    def _elapsed(self) -> float:
        return (self._clock() - self._started_ns) / 1e9


def _far_from_one(timed: Sequence[TimedCalls]) -> bool:
    """Return whether both students take more than 4 times, or less than a quarter, of the LDA's time."""
    lda, *students = (float(np.median(contestant.block_medians_us())) for contestant in timed)
    return all(not lda / _FAR <= student <= lda * _FAR for student in students)


def doublings(max_heads: int) -> list[int]:
    """Return 16, 32, ... up to `max_heads`, which is the last one."""
    heads = [SMALLEST_HEADS << power for power in range(max_heads.bit_length())]
    return [n for n in heads if n < max_heads] + [max_heads]
