"""Raw samples: every call's microseconds, to look at them in NumPy."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = dict[str, NDArray[np.float64]]
"""By contestant and batch size, in the order in which they were timed."""


def sample_name(contestant: str, batch_size: int, num_heads: int | None = None) -> str:
    """Return the name of an array, such as "lda, batch 1" or "lda, N 16, batch 1"."""
    heads = "" if num_heads is None else f", N {num_heads}"
    return f"{contestant}{heads}, batch {batch_size}"


def samples_bytes(samples: Mapping[str, NDArray[np.float64]]) -> bytes:
    """Return the content of an npz file, an array a name, microseconds a call."""
    content = io.BytesIO()
    arrays: dict[str, Any] = dict(samples)  # NumPy's types take a key for `allow_pickle`
    np.savez_compressed(content, **arrays)
    return content.getvalue()
