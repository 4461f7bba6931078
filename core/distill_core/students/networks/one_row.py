"""A single query on a CPU: NumPy multiplies it with a matrix in about half the time that torch takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]


class LinearView(NamedTuple):
    """The weights of a linear map as arrays over the same memory.

    Attributes:
        weight: (out, in).
        bias: (out,), or None.
    """

    weight: Array
    bias: Array | None

    def apply(self, row: Array) -> Array:
        """Map a row (in,) to (out,)."""
        product: Array = self.weight.dot(row)
        if self.bias is not None:
            product += self.bias
        return product


def suits_numpy(queries: Tensor, weight: Tensor) -> bool:
    """Return whether queries (batch, d) are one row on a CPU that no gradient and no compiler follows."""
    return (
        queries.shape[0] == 1
        and queries.device.type == weight.device.type == "cpu"
        and queries.dtype == weight.dtype == torch.float32
        and not (torch.is_grad_enabled() or torch.compiler.is_compiling())
    )


def as_array(weight: Tensor) -> Array:
    """Return the weight's own memory as an array."""
    array: Array = weight.detach().numpy()
    return array


def as_linear(linear: nn.Linear) -> LinearView:
    """Return a linear map's own memory as arrays."""
    return LinearView(as_array(linear.weight), None if linear.bias is None else as_array(linear.bias))


def as_rows(row: Array) -> Tensor:
    """Return an array (d,) as a tensor (1, d) over the same memory."""
    return torch.from_numpy(row)[None]
