"""Which device runs the work, with how many threads, and a random state of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

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


class OwnRandomState:
    """Swap torch's random state for a private one inside `with`, and back outside.

    Dropout and initialisation draw from torch's global generators. Entering sets them to where this
    object left off; leaving restores what the rest of the process had.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        self._own = self._seeded(seed)
        self._outside = self._own

    def __enter__(self) -> Self:
        self._outside = self._read()
        self._write(self._own)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._own = self._read()
        self._write(self._outside)

    def state_dict(self) -> dict[str, Tensor]:
        """Return where the generators left off."""
        cpu, accelerator = self._own
        return {"cpu": cpu} if accelerator is None else {"cpu": cpu, "accelerator": accelerator}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on where generators left off."""
        accelerator = state.get("accelerator")
        self._own = state["cpu"].cpu(), None if accelerator is None else accelerator.cpu()

    def _seeded(self, seed: int) -> tuple[Tensor, Tensor | None]:
        # torch.manual_seed would reseed every device of the process, also those of others.
        cpu = torch.Generator().manual_seed(seed).get_state()
        if self.device.type == "cpu":
            return cpu, None
        return cpu, torch.Generator(self.device).manual_seed(seed).get_state()

    def _read(self) -> tuple[Tensor, Tensor | None]:
        if self.device.type == "cuda":
            return torch.get_rng_state(), torch.cuda.get_rng_state(self.device)
        if self.device.type == "mps":
            return torch.get_rng_state(), torch.mps.get_rng_state()
        return torch.get_rng_state(), None

    def _write(self, state: tuple[Tensor, Tensor | None]) -> None:
        cpu, accelerator = state
        torch.set_rng_state(cpu)
        if accelerator is None:
            return
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(accelerator, self.device)
        else:
            torch.mps.set_rng_state(accelerator)
