"""What every measurement is: events while it goes on, and a result that outlives a stop. No torch."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from distill_core.arrays import Values

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
