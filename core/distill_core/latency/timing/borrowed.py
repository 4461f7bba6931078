"""A student that is measured on a device and given back as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from distill_core.devices import cpu_threads
from distill_core.errors import DeviceError
from distill_core.students import Student


@contextmanager
def borrowed(student: Student, device: torch.device, threads: int) -> Iterator[None]:
    """Have a student on a device, in evaluation and with so many CPU threads, inside `with`.

    Raises:
        DeviceError: The device failed, or its memory does not suffice.
    """
    home, was_training = next(student.parameters()).device, student.training
    try:
        student.to(device).eval()
        with cpu_threads(threads):
            yield
    except (RuntimeError, MemoryError) as error:
        raise DeviceError(f"The measurement failed: {str(error).partition(chr(10))[0]}") from error
    finally:
        student.to(home).train(was_training)
