"""torch.compile for the training step, where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from distill_core.errors import TrainingError


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return the network through torch.compile; it is compiled when it is first called.

    Raises:
        TrainingError: When called, if torch cannot compile on this machine, for example without a compiler.
    """
    module = cast(Callable[[Tensor], Tensor], torch.compile(network))
    first = True

    def call(queries: Tensor) -> Tensor:
        nonlocal first
        try:
            projected = module(queries)
        except (RuntimeError, ImportError, OSError) as error:
            if not first or isinstance(error, torch.OutOfMemoryError):
                raise
            raise TrainingError(
                f"torch.compile does not work on this machine ({type(error).__name__}).",
                "Train without it, or install a C++ compiler.",
            ) from error
        first = False
        return projected

    return call
