"""Blocks of calls under an injected clock, the device synchronised around a block and not inside."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from distill_core.arrays import Values
from distill_core.latency.statistics import count_outliers

Call = Callable[[], object]
Clock = Callable[[], int]
"""Nanoseconds, as `time.perf_counter_ns` gives them."""

BLOCK_NS = 8_000_000
WARM_UP_CAP_NS = 300_000_000
_STEADY_CHANGE = 0.05
_STEADY_GROUPS = 3
_MAX_CALLS = 4096


@dataclass(slots=True)
class TimedCalls:
    """One contestant at one N and one batch size.

    Attributes:
        calls: One for each input, taken in turn.
        clock: Nanoseconds.
        synchronize: Waits for the device; called before and after a block.
        in_order: Whether a call has finished when it returns, as on a CPU. Only then is each call timed, and
            a block's time is the median of its calls; else it is their mean, from the ends of the block.
        calls_per_block: Set by the warm-up, so that a block takes about 8 ms; at least 1.
        call_us: Times of the calls, an array a block.
    """

    calls: Sequence[Call]
    clock: Clock
    synchronize: Call
    in_order: bool = True
    calls_per_block: int = 1
    call_us: list[Values] = field(default_factory=list)
    _next: int = 0

    def warm_up(self) -> None:
        """Run until the time of a block changes by less than 5 % three times in a row, or for 0.3 s.

        A call that alone takes longer than that is run once. The fastest block decides how many calls fill
        one: a busy moment of the machine must not leave a measurement with a handful of calls.
        """
        started = self.clock()
        previous = fastest = _middle(self._timed())
        steady = 0
        while steady < _STEADY_GROUPS and self.clock() - started < WARM_UP_CAP_NS:
            self._fit_block(fastest)
            present = _middle(self._timed())
            fastest = min(fastest, present)
            steady = steady + 1 if abs(present - previous) < _STEADY_CHANGE * present else 0
            previous = present
        self._fit_block(fastest)

    def time_block(self) -> None:
        """Time one block and keep it."""
        self.call_us.append(self._timed())

    def block_medians_us(self) -> Values:
        """Return the microseconds a call of each block, (blocks,)."""
        return np.array([_middle(block) for block in self.call_us])

    def all_us(self) -> Values:
        """Return the microseconds of every call, (calls,)."""
        return np.concatenate(self.call_us)

    def outliers(self) -> int:
        """Count the calls beyond an outer quartile fence; none is dropped."""
        return count_outliers(self.all_us())

    def _fit_block(self, call_us: float) -> None:
        self.calls_per_block = int(np.clip(BLOCK_NS / 1e3 / max(call_us, 1e-3), 1, _MAX_CALLS))

    def _timed(self) -> Values:
        stamps = np.empty(self.calls_per_block + 1)
        with no_garbage_collection():
            self.synchronize()
            stamps[0] = self.clock()
            for index in range(self.calls_per_block):
                self.calls[self._next % len(self.calls)]()
                self._next += 1
                if self.in_order:
                    stamps[index + 1] = self.clock()
            if not self.in_order:
                self.synchronize()
                return np.array([(self.clock() - stamps[0]) / self.calls_per_block / 1e3])
        return np.diff(stamps) / 1e3


def single_stream(
    calls: Sequence[Call], clock: Clock, synchronize: Callable[[], None], *, in_order: bool
) -> TimedCalls:
    """Return single queries as one after the other: where calls return early, each waits for the device."""
    if not in_order:
        calls = [partial(_call_and_wait, call, synchronize) for call in calls]
    return TimedCalls(calls, clock, synchronize)


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


def _call_and_wait(call: Call, wait: Callable[[], None]) -> None:
    call()
    wait()


def _middle(times: Values) -> float:
    return float(np.median(times))
