"""Vectors of the heads in as few bytes as asked for, taken as float32. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from distill_core.arrays import Ids, Matrix
from distill_core.students.routed import Storage

_ROWS = 4096
"""Rows converted at once."""


class HeadRows:
    """(N, d) numbers as float32, as float16, or as int8 with a scale a row.

    Args:
        rows: (N, d) in the type of the storage.
        scales: (N,) float32, what an int8 row is multiplied by; None for the other types.
    """

    def __init__(self, rows: NDArray[Any], scales: NDArray[np.float32] | None = None) -> None:
        self.rows = rows
        self.scales = scales
        self._is_plain = rows.dtype == np.float32

    @classmethod
    def stored(cls, rows: Matrix, storage: Storage) -> Self:
        """Return float32 rows (N, d) in a storage; int8 rounds to 127 steps of a row's largest number."""
        if storage != "int8":
            return cls(np.ascontiguousarray(rows, dtype=storage))
        largest = np.maximum(rows.max(axis=1), -rows.min(axis=1))
        scales = np.maximum(largest, np.float32(1e-30)) / np.float32(127)
        codes = np.empty(rows.shape, np.int8)
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            codes[part] = np.rint(rows[part] / scales[part, None])
        return cls(codes, scales)

    @classmethod
    def of_weights(cls, weights: Mapping[str, NDArray[Any]], name: str) -> Self:
        """Return what `weights` gave under the same name."""
        return cls(weights[name], weights.get(f"{name}_scale"))

    def weights(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the stored numbers by name."""
        scales = {} if self.scales is None else {f"{name}_scale": self.scales}
        return {name: self.rows, **scales}

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, heads: Ids) -> Matrix:
        """Return the rows of some heads (n, d)."""
        # Told to clip, NumPy takes rows straight into place; it would buffer them to be able to complain.
        taken = self.rows.take(heads, axis=0, mode="clip")
        if self._is_plain:
            return cast(Matrix, taken)
        return self._as_float(taken, None if self.scales is None else self.scales.take(heads, mode="clip"))

    def part(self, rows: slice) -> Matrix:
        """Return a stretch of the rows (n, d)."""
        if self._is_plain:
            return cast(Matrix, self.rows[rows])
        return self._as_float(self.rows[rows], None if self.scales is None else self.scales[rows])

    @staticmethod
    def _as_float(taken: NDArray[Any], scales: NDArray[np.float32] | None) -> Matrix:
        floats: Matrix = taken.astype(np.float32)
        if scales is not None:
            floats *= scales[:, None]
        return floats
