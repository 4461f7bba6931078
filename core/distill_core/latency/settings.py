"""How long and where to time. No torch."""

from __future__ import annotations

import math

import msgspec

from distill_core.errors import SettingsError

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
