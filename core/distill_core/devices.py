"""Which device runs the work, with how many threads, and waiting for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

from distill_core.errors import DeviceError


def resolve_device(name: str = "auto") -> torch.device:
    """Return the torch device of a name; `auto` takes cuda, else mps, else cpu.

    Raises:
        DeviceError: The device asked for is not on this machine.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in there.items() if is_there))
    kind = name.partition(":")[0]
    if not there.get(kind, False):
        have = ", ".join(kind for kind, is_there in there.items() if is_there)
        raise DeviceError(f"The device {name} is not on this machine.", f"Take auto or one of: {have}.")
    return torch.device(name)


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Give torch and NumPy's BLAS `count` CPU threads inside `with`; 0 leaves them theirs."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        with threadpool_limits(count or None, user_api="blas"):
            yield
    finally:
        if count:
            torch.set_num_threads(before)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished what it was given; nothing to do on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
