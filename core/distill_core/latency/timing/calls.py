"""Calls of models, ready to be timed in blocks."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from distill_core.arrays import Matrix, Values
from distill_core.devices import cpu_threads, synchronize
from distill_core.errors import DeviceError, DistillError, SettingsError
from distill_core.latency.measurement import count_outliers
from distill_core.students import Student
from distill_core.students.networks.torch_teacher import TorchTeacher
from distill_core.teacher import MultiHeadLDA

Call = Callable[[], object]
Clock = Callable[[], int]
"""Nanoseconds, as `time.perf_counter_ns` gives them."""

BLOCK_NS = 8_000_000
WARM_UP_CAP_NS = 300_000_000
_STEADY_CHANGE = 0.05
_STEADY_GROUPS = 3
_MAX_CALLS = 4096
_SETTLING_CALLS = 2
"""Of a new copy, not timed: the first ones fill caches and page tables."""


@dataclass(slots=True)
class TimedCalls:
    """One contestant at one N and one batch size.

    Attributes:
        calls: One for each input, taken in turn.
        clock: Nanoseconds.
        synchronize: Waits for the device; called before and after a block.
        in_order: Whether a call has finished when it returns, as on a CPU. Only then is each call timed, and
            a block's time is the median of its calls; else it is their mean, from the ends of the block.
        calls_per_block: Set by the warm-up, so that a block takes about 8 ms; at least 1.
        call_us: Times of the calls, an array a block.
    """

    calls: Sequence[Call]
    clock: Clock
    synchronize: Call
    in_order: bool = True
    calls_per_block: int = 1
    call_us: list[Values] = field(default_factory=list)
    _next: int = 0

    def warm_up(self) -> None:
        """Run until the time of a block changes by less than 5 % three times in a row, or for 0.3 s.

        A call that alone takes longer than that is run once. The fastest block decides how many calls fill
        one: a busy moment of the machine must not leave a measurement with a handful of calls.
        """
        started = self.clock()
        previous = fastest = _middle(self._timed())
        steady = 0
        while steady < _STEADY_GROUPS and self.clock() - started < WARM_UP_CAP_NS:
            self._fit_block(fastest)
            present = _middle(self._timed())
            fastest = min(fastest, present)
            steady = steady + 1 if abs(present - previous) < _STEADY_CHANGE * present else 0
            previous = present
        self._fit_block(fastest)

    def time_block(self) -> None:
        """Time one block and keep it."""
        self.call_us.append(self._timed())

    def renew(self, calls: Sequence[Call]) -> None:
        """Go on with other calls of the same, and let them settle."""
        self.calls = calls
        for call in calls[:_SETTLING_CALLS]:
            call()

    def block_medians_us(self) -> Values:
        """Return the microseconds a call of each block, (blocks,)."""
        return np.array([_middle(block) for block in self.call_us])

    def all_us(self) -> Values:
        """Return the microseconds of every call, (calls,)."""
        return np.concatenate(self.call_us)

    def outliers(self) -> int:
        """Count the calls beyond an outer quartile fence; none is dropped."""
        return count_outliers(self.all_us())

    def _fit_block(self, call_us: float) -> None:
        self.calls_per_block = int(np.clip(BLOCK_NS / 1e3 / max(call_us, 1e-3), 1, _MAX_CALLS))

    def _timed(self) -> Values:
        stamps = np.empty(self.calls_per_block + 1)
        with no_garbage_collection():
            self.synchronize()
            stamps[0] = self.clock()
            for index in range(self.calls_per_block):
                self.calls[self._next % len(self.calls)]()
                self._next += 1
                if self.in_order:
                    stamps[index + 1] = self.clock()
            if not self.in_order:
                self.synchronize()
                return np.array([(self.clock() - stamps[0]) / self.calls_per_block / 1e3])
        return np.diff(stamps) / 1e3


def single_stream(
    calls: Sequence[Call], clock: Clock, synchronize: Callable[[], None], *, in_order: bool
) -> TimedCalls:
    """Return single queries as one after the other: where calls return early, each waits for the device."""
    return TimedCalls(_waiting(calls, synchronize, in_order=in_order), clock, synchronize)


def _waiting(calls: Sequence[Call], wait: Callable[[], None], *, in_order: bool) -> Sequence[Call]:
    return calls if in_order else [partial(_call_and_wait, call, wait) for call in calls]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Keep the garbage collector off inside `with`."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _call_and_wait(call: Call, wait: Callable[[], None]) -> None:
    call()
    wait()


def _middle(times: Values) -> float:
    return float(np.median(times))


Project = Callable[[object], object]

Form = Literal["queries", "arrays", "tensors", "host"]
"""What a call takes: "tensors" of the device, "host" ones to be copied inside the call, "arrays" (batch, d),
or "queries": arrays, but (d,) for a single one."""


class AnyStudent(Protocol):
    """Whatever projects queries; `fold()`, which returns its faster form, is used where there is one."""

    def project(self, queries: Matrix, /) -> Matrix:
        """Return the projections (n, d) of queries (n, d)."""


@runtime_checkable
class OnDevices(Protocol):
    """A student that is no torch module, and has a form for other devices."""

    def on_device(self, device: torch.device, /) -> Callable[[Tensor], Tensor]:
        """Return what projects tensors (n, d) of the device."""


INPUTS = 16
"""Inputs taken in turn, at least."""

DIFFERENT = 1_024
"""Different queries among them, at least: what routes or indexes keeps the heads of a few in the caches, and
looks three times as fast."""

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

    Of a torch module, which is on the device, that is the forward pass of tensors; else its `project` on the
    CPU, and what its `on_device` gives on another device.

    Raises:
        SettingsError: It has no form for the device.
    """
    if isinstance(runner, torch.nn.Module):
        return student_call(runner), "tensors"
    if device.type != "cpu":
        if isinstance(runner, OnDevices):
            return torch.inference_mode()(cast(Project, runner.on_device(device))), "tensors"
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
    """Return batches (batch, d) of queries (n, d) that begin anew at the end, `DIFFERENT` ones at least.

    Where there are fewer, queries between two real ones follow the real ones, nearer to the first. They are
    right for timing, and mean nothing else.
    """
    if len(rows) < DIFFERENT:
        rng = np.random.default_rng(0)
        first = rng.integers(len(rows), size=DIFFERENT - len(rows))
        second = (first + rng.integers(1, max(len(rows), 2), size=len(first))) % len(rows)
        share = rng.uniform(0.5, 1, size=(len(first), 1)).astype(np.float32)
        rows = np.concatenate((rows, share * rows[first] + (1 - share) * rows[second]))
    starts = np.arange(max(INPUTS, -(-DIFFERENT // batch_size))) * batch_size
    return [rows[np.arange(start, start + batch_size) % len(rows)] for start in starts]


def given(batch: Matrix, form: Form, device: torch.device) -> object:
    """Return a batch (batch, d) as a call takes it."""
    if form in ("arrays", "queries"):
        return batch[0] if form == "queries" and len(batch) == 1 else batch
    tensor = torch.from_numpy(batch)
    return tensor.pin_memory() if form == "host" else tensor.to(device)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The same batches of one size for every contestant.

    Attributes:
        batches: (batch, d) each.
        device: Where the contestants run.
        single: Whether each call waits for the device, as single queries do.
    """

    batches: Sequence[Matrix]
    device: torch.device
    single: bool

    def calls(self, project: Project, form: Form) -> Sequence[Call]:
        """Return a call with each batch."""
        calls = [partial(project, given(batch, form, self.device)) for batch in self.batches]
        if not self.single:
            return calls
        return _waiting(calls, partial(synchronize, self.device), in_order=self._in_order(form))

    def timed(self, project: Project, form: Form, clock: Clock) -> TimedCalls:
        """Return these calls, to be timed in blocks."""
        in_order = self.single or self._in_order(form)
        return TimedCalls(self.calls(project, form), clock, partial(synchronize, self.device), in_order)

    def _in_order(self, form: Form) -> bool:
        return self.device.type == "cpu" or form in ("arrays", "queries")
