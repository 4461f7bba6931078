"""Timing one callable: warm-up until steady, blocks of calls, every raw time kept."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Call = Callable[[], object]

_BLOCK_SECONDS = 0.02
_WARM_UP_SECONDS = 1.0
_STEADY_CHANGE = 0.05
_MIN_CALLS = 5


@dataclass(slots=True)
class Contestant:
    """A model under the clock, at one batch size.

    Attributes:
        model: "lda", "transformer" or "unfolded".
        batch_size: Queries a call.
        calls: One callable for each input, taken in turn, so that no input stays in the caches alone.
        synchronize: Waits for the device; called inside the time of each call.
        calls_per_block: Set by the warm-up, so that a block takes about 20 ms.
        blocks_us: One array of microseconds a call for each timed block.
    """

    model: str
    batch_size: int
    calls: tuple[Call, ...]
    synchronize: Callable[[], None]
    calls_per_block: int = _MIN_CALLS
    blocks_us: list[NDArray[np.float64]] = field(default_factory=list)

    def warm_up(self) -> None:
        """Run until two groups of calls in a row take the same time within 5 %, or for a second."""
        started = time.perf_counter()
        previous = float("inf")
        while True:
            median = float(np.median(self._time_calls(_MIN_CALLS)))
            steady = abs(median - previous) <= _STEADY_CHANGE * median
            if steady or time.perf_counter() - started > _WARM_UP_SECONDS:
                break
            previous = median
        self.calls_per_block = max(_MIN_CALLS, round(_BLOCK_SECONDS * 1e6 / max(median, 1e-3)))

    def time_block(self) -> float:
        """Time one block of calls and keep it; return the median microseconds a query."""
        times = self._time_calls(self.calls_per_block)
        self.blocks_us.append(times)
        return float(np.median(times)) / self.batch_size

    def us_per_query(self) -> NDArray[np.float64]:
        """Return every timed call so far, as microseconds a query."""
        return np.concatenate(self.blocks_us) / self.batch_size

    def block_medians(self) -> NDArray[np.float64]:
        """Return the median microseconds a query of each block."""
        return np.array([np.median(block) for block in self.blocks_us]) / self.batch_size

    def _time_calls(self, count: int) -> NDArray[np.float64]:
        times = np.empty(count)
        with no_garbage_collection():
            for index in range(count):
                call = self.calls[index % len(self.calls)]
                started = time.perf_counter_ns()
                call()
                self.synchronize()
                times[index] = time.perf_counter_ns() - started
        return times / 1e3


def count_outliers(times: NDArray[np.float64]) -> int:
    """Count the times above the outer fence, p75 + 3 interquartile ranges (Tukey's severe outliers)."""
    lower, upper = np.percentile(times, [25, 75])
    return int((times > upper + 3 * (upper - lower)).sum())


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the garbage collector off inside `with`."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
