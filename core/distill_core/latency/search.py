"""The search for the crossover: double N, drop what is decided, then halve around the sign changes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from distill_core.errors import DeviceError
from distill_core.latency.blocks import Call, Clock, TimedCalls
from distill_core.latency.brackets import CURVES, bracket_of, far_past, next_heads, ratios_of
from distill_core.latency.crossover_events import CrossoverPoint, StudentTime
from distill_core.latency.intervals import is_unsteady, ratio_interval
from distill_core.latency.lineup import Contestants, Trio

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
            begun that would not fit, judged by the time that the last one of its batch size took.
        seed: Of the bootstrap.
        clock: Nanoseconds.

    Attributes:
        points: What is measured so far.
        ended: "complete", or "budget" where time ended it.
    """

    def __init__(
        self,
        contestants: Contestants,
        *,
        max_heads: int,
        batch_sizes: Sequence[int],
        budget_seconds: float,
        seed: int,
        clock: Clock,
    ) -> None:
        self.points: list[CrossoverPoint] = []
        self.ended = "complete"
        self._contestants = contestants
        self._max_heads = max_heads
        self._batch_sizes = tuple(batch_sizes)
        self._budget_seconds = budget_seconds
        self._seed = seed
        self._clock = clock
        self._started_ns = clock()
        self._seconds_of: dict[int, tuple[int, float]] = {}

    def __iter__(self) -> Iterator[CrossoverPoint]:
        yield from self._grow()
        yield from self._refine()

    def _grow(self) -> Iterator[CrossoverPoint]:
        sizes = self._batch_sizes
        for num_heads in doublings(self._max_heads):
            undecided = []
            for size in sizes:
                point = self._measured(num_heads, size, _GROWING_SHARE, refining=False)
                if point is None:
                    continue
                yield point
                if not (far_past(point.fixed.over_lda) and far_past(point.grown.over_lda)):
                    undecided.append(size)
            sizes = tuple(undecided)
            if not sizes:
                return

    def _refine(self) -> Iterator[CrossoverPoint]:
        given_up: set[tuple[int, int]] = set()
        while True:
            wanted = [place for place in self._wanted() if place[1:] not in given_up]
            if not wanted:
                return
            _, num_heads, size = max(wanted)
            point = self._measured(num_heads, size, 1.0, refining=True)
            if point is None:
                given_up.add((num_heads, size))
            else:
                yield point

    def _wanted(self) -> Iterator[tuple[float, int, int]]:
        """Yield width, next N and batch size of each bracket that can be narrowed or found."""
        for size in self._batch_sizes:
            for curve in CURVES:
                ratios = ratios_of(self.points, size, curve)
                bracket, middle = bracket_of(ratios), next_heads(ratios)
                if middle is not None:
                    yield (bracket.high or 1) / (bracket.low or 1), middle, size
                elif not bracket.reached and 0 < bracket.measured_to < self._max_heads:
                    yield math.inf, min(2 * bracket.measured_to, self._max_heads), size

    def _measured(self, num_heads: int, size: int, share: float, *, refining: bool) -> CrossoverPoint | None:
        """Measure and keep a point; None, and `ended` says so, if the time does not suffice."""
        last_heads, last_seconds = self._seconds_of.get(size, (num_heads, 0.0))
        expected = last_seconds * num_heads / last_heads
        started = self._elapsed()
        point = None
        if started + expected <= share * self._budget_seconds:
            try:
                point = self._time(num_heads, size, refining=refining)
            except (RuntimeError, MemoryError) as error:
                reason = str(error).partition("\n")[0]
                raise DeviceError(f"The measurement at {num_heads:,} heads failed: {reason}") from error
        if point is None:
            self.ended = "budget"
            return None
        if num_heads >= last_heads:
            self._seconds_of[size] = num_heads, self._elapsed() - started
        self.points.append(point)
        return point

    def _time(self, num_heads: int, size: int, *, refining: bool) -> CrossoverPoint | None:
        started = self._elapsed()
        trio = self._contestants.trio(num_heads, size)
        timed = [self._timed(calls) for calls in (trio.lda, trio.fixed, trio.grown)]
        for contestant in timed:
            contestant.warm_up()
        until = min(self._budget_seconds, started + _POINT_SHARE * self._budget_seconds)
        for number in range(ROUNDS):
            if number < FEWEST_ROUNDS and self._elapsed() > self._budget_seconds:
                return None
            if number >= FEWEST_ROUNDS and (self._elapsed() > until or _far_from_one(timed)):
                break
            for contestant in timed if number % 2 == 0 else reversed(timed):
                contestant.time_block()
        return self._point(num_heads, size, trio, timed, refining=refining)

    def _point(
        self, num_heads: int, size: int, trio: Trio, timed: list[TimedCalls], *, refining: bool
    ) -> CrossoverPoint:
        lda, fixed, grown = (contestant.block_medians_us() / size for contestant in timed)
        fixed_time, grown_time = (
            StudentTime(
                layers=layers,
                us=float(np.median(blocks)),
                over_lda=ratio_interval(blocks, lda, seed=self._seed),
            )
            for layers, blocks in ((trio.fixed_layers, fixed), (trio.grown_layers, grown))
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
