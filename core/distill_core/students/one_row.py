"""A single query on a CPU: NumPy multiplies it with a matrix in about half the time that torch takes."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own idiom
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[Any]


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


def apply_linear(linear: nn.Linear, row: Array) -> Array:
    """Map a row (in,) to (out,)."""
    product: Array = as_array(linear.weight).dot(row)
    if linear.bias is not None:
        product += as_array(linear.bias)
    return product


def linear_of_row(linear: nn.Linear, row: Tensor) -> Tensor:
    """Map a tensor (1, in) to (1, out) by `apply_linear`."""
    return torch.from_numpy(apply_linear(linear, as_array(row)[0])[None])


def linear_of_rows(linear: nn.Linear, rows: Tensor) -> Tensor:
    """Map a tensor (batch, in) to (batch, out) by torch."""
    return F.linear(rows, linear.weight, linear.bias)
