"""What the cases of a fuzzer draw, and noise in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Random:
    """What a case draws."""

    def __init__(self, seed: int, case: int) -> None:
        self._rng = np.random.default_rng([seed, case])

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to limit - 1; 0 of nothing."""
        return int(self._rng.integers(limit)) if limit > 0 else 0

    def one_of(self, values: Sequence[T]) -> T:
        """Return one of some values."""
        return values[self.below(len(values))]

    def bytes(self, number: int) -> bytes:
        """Return noise."""
        return self._rng.bytes(number)


def noise_in(content: bytes, draw: Random) -> bytes:
    """Return bytes of which a part is changed, doubled, zeroed or gone."""
    start = draw.below(len(content))
    end = min(len(content), start + 1 + draw.below(draw.one_of((2, 64, 5000))))
    part = content[start:end]
    put = draw.one_of((draw.bytes(len(part)), b"\0" * len(part), b"", part * 2, b"\xff" * len(part)))
    return draw.one_of((content[:start] + put + content[end:], content[:start], content + draw.bytes(64)))
