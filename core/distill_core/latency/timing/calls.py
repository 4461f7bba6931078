"""What is timed: LDA and student as callables on one device, and the queries they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal, Protocol, cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from distill_core.arrays import Matrix
from distill_core.devices import cpu_threads, synchronize
from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency.timing.blocks import Clock, TimedCalls, single_stream
from distill_core.students import Student
from distill_core.teacher import MultiHeadLDA
from distill_core.torch_teacher import TorchTeacher

Project = Callable[[object], object]

Form = Literal["queries", "arrays", "tensors", "host"]
"""What a call takes: "tensors" of the device, "host" ones to be copied inside the call, "arrays" (batch, d),
or "queries": arrays, but (d,) for a single one."""


class AnyStudent(Protocol):
    """Whatever projects queries; `fold()`, which returns its faster form, is used where there is one."""

    def project(self, queries: Matrix, /) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""


INPUTS = 16
"""Inputs taken in turn, so that none stays in the caches alone."""

_GRAPH_WARM_UPS = 3
"""Calls before the capture, as torch's documentation of CUDA graphs asks for."""


@contextmanager
def measured_on(device: torch.device, threads: int, student: Student | None = None) -> Iterator[None]:
    """Have so many CPU threads, and a student on the device and in evaluation, inside `with`.

    The student is given back as it was.

    Raises:
        DeviceError: The device failed, or its memory does not suffice.
    """
    module = student if isinstance(student, torch.nn.Module) else None
    home = None if module is None else (next(module.parameters()).device, module.training)
    try:
        if module is not None:
            module.to(device).eval()
        with cpu_threads(threads):
            yield
    except (RuntimeError, MemoryError) as error:
        raise DeviceError(f"The measurement failed: {str(error).partition(chr(10))[0]}") from error
    finally:
        if module is not None and home is not None:
            module.to(home[0]).train(home[1])


def queries_to_time(queries: ArrayLike) -> Matrix:
    """Return queries (n, d) as float32, n >= 1.

    Raises:
        DistillError: There are none.
    """
    rows = np.ascontiguousarray(queries, dtype=np.float32)
    if rows.ndim != 2 or len(rows) == 0:
        raise DistillError(
            "There are no queries to time with.", "Choose a projection with question embeddings."
        )
    return rows


def lda_call(teacher: MultiHeadLDA, device: torch.device) -> Project:
    """Return the LDA of "queries" in NumPy on a CPU, of tensors in torch on another device.

    In NumPy it is the method itself: a function around it would be a tenth of the time of a single query.
    """
    return cast(Project, teacher.project) if device.type == "cpu" else torch_lda_call(teacher, device)


def lda_form(device: torch.device) -> Form:
    """Return what `lda_call` takes on a device."""
    return "queries" if device.type == "cpu" else "tensors"


def torch_lda_call(teacher: MultiHeadLDA, device: torch.device) -> Project:
    """Return the LDA of tensors (batch, d) in torch, on any device."""
    return torch.inference_mode()(cast(Project, TorchTeacher(teacher, device).project))


def student_call(student: torch.nn.Module) -> Project:
    """Return the student's forward pass of tensors (batch, d), without gradients."""
    return torch.inference_mode()(cast(Project, student.__call__))


def runner_call(runner: AnyStudent | torch.nn.Module, device: torch.device) -> tuple[Project, Form]:
    """Return what is timed of a student in its form for inference, and what that takes.

    Of a torch module, which is on the device, that is the forward pass of tensors; else its `project`.

    Raises:
        SettingsError: It is no torch module, and the device is not the CPU.
    """
    if isinstance(runner, torch.nn.Module):
        return student_call(runner), "tensors"
    if device.type != "cpu":
        raise SettingsError(
            f"This student runs on the CPU only, not on {device}.", "Take cpu.", field="device"
        )
    return cast(Project, runner.project), "arrays"


def graph_call(student: torch.nn.Module, example: Tensor) -> Project:
    """Return the student's forward pass as a CUDA graph: one launch a call in place of one a kernel.

    Args:
        student: On the device, in evaluation.
        example: (batch, d) on the device; the call takes queries of this shape, from the device or the host.

    Raises:
        RuntimeError: The student cannot be captured.
    """
    inputs = example.clone()
    with torch.inference_mode():
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_GRAPH_WARM_UPS):
                student(inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = student(inputs)

    def project(queries: object) -> Tensor:
        inputs.copy_(cast(Tensor, queries), non_blocking=True)
        graph.replay()
        return cast(Tensor, outputs)

    return torch.inference_mode()(project)


def query_batches(rows: Matrix, batch_size: int) -> list[Matrix]:
    """Return `INPUTS` batches (batch, d) of queries (n, d), which begin anew where they end."""
    starts = np.arange(INPUTS) * batch_size
    return [rows[np.arange(start, start + batch_size) % len(rows)] for start in starts]


def given(batch: Matrix, form: Form, device: torch.device) -> object:
    """Return a batch (batch, d) as a call takes it."""
    if form in ("arrays", "queries"):
        return batch[0] if form == "queries" and len(batch) == 1 else batch
    tensor = torch.from_numpy(batch)
    return tensor.pin_memory() if form == "host" else tensor.to(device)


def timed_calls(
    project: Project,
    form: Form,
    batches: list[Matrix],
    device: torch.device,
    clock: Clock,
    *,
    single: bool,
) -> TimedCalls:
    """Return calls with batches of one size, to be timed; `single` ones wait for the device one by one."""
    calls = [partial(project, given(batch, form, device)) for batch in batches]
    wait = partial(synchronize, device)
    in_order = device.type == "cpu" or form in ("arrays", "queries")
    if single:
        return single_stream(calls, clock, wait, in_order=in_order)
    return TimedCalls(calls, clock, wait, in_order=in_order)
