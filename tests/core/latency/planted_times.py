"""Contestants whose times are planted, and a clock that only they move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from distill_core.latency.timing.crossover_contestants import CallsAtN, covering_layers

Times = Callable[[int, int], float]
"""Microseconds a call, from N and the batch size."""


class PlantedClock:
    """Nanoseconds that pass only when a planted call says so."""

    def __init__(self) -> None:
        self.nanoseconds = 0

    def __call__(self) -> int:
        return self.nanoseconds

    def call_taking(self, *microseconds: float) -> Callable[[], None]:
        """Return a call that takes these times in turn."""
        steps = cycle([round(1000 * each) for each in microseconds])

        def call() -> None:
            self.nanoseconds += next(steps)

        return call


class PlantedContestants:
    """What the search times, with a formula for each of the three."""

    in_order = True

    def __init__(self, clock: PlantedClock, lda: Times, fixed: Times, grown: Times) -> None:
        self._clock = clock
        self._times = (lda, fixed, grown)
        self.asked: list[tuple[int, int]] = []

    def calls(self, num_heads: int, batch_size: int) -> CallsAtN:
        self.asked.append((num_heads, batch_size))
        lda, fixed, grown = ([self._clock.call_taking(t(num_heads, batch_size))] for t in self._times)
        return CallsAtN(lda, fixed, grown, 2, covering_layers(num_heads, 4))

    def real_heads(self, num_heads: int) -> int:
        return min(num_heads, 30)

    def synchronize(self) -> None:
        pass
