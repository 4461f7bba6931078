"""Every form in which LDA and student can be timed on one device, or the reason why it cannot."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from subprocess import SubprocessError
from typing import NamedTuple, cast

import numpy as np
import torch

from distill_core.arrays import Matrix
from distill_core.errors import DistillError
from distill_core.evaluation.near_heads import NearestHeads, exact_search
from distill_core.extras import EXTRAS, failing_as, first_line, is_installed, require_extra
from distill_core.latency.growing_teacher import NEIGHBOURS, approximate_search
from distill_core.latency.timing.calls import (
    Form,
    Project,
    graph_call,
    lda_call,
    runner_call,
    student_call,
    torch_lda_call,
)
from distill_core.students import Projector, Student
from distill_core.students.kinds import default_student
from distill_core.teacher import MultiHeadLDA

BUILD_ERRORS = (RuntimeError, OSError, ImportError, MemoryError, SubprocessError, ValueError, DistillError)
"""What packages raise where they do not work on this machine; torch.compile raises most kinds."""

COMPILE_HINT = "takes half a minute: ask for it with 'distill-tui latency --all --compile'"
ONNX_HINT = "needs onnx and onnxruntime: pip install 'distill-tui[onnx]'"


TOP_K = (8, 32)
"""To how many heads the LDA is restricted."""


class Contestant(NamedTuple):
    """One form that takes part.

    Attributes:
        name: As the table has it.
        project: Takes queries as `takes` says.
        takes: The form of the queries.
        parameters: Numbers that are stored.
        size_bytes: What they take.
        by_size: Makes the call for one batch size, where it depends on it.
        is_reference: Whether the others are compared with this one.
    """

    name: str
    project: Project
    takes: Form
    parameters: int
    size_bytes: int
    by_size: Callable[[Matrix], Project] | None = None
    is_reference: bool = False


class Absent(NamedTuple):
    """One that cannot take part, and why."""

    name: str
    reason: str


def contestants(
    teacher: MultiHeadLDA, student: Student, device: torch.device, *, compiled: bool = False
) -> Iterator[Contestant | Absent]:
    """Yield every form, the LDA in NumPy first; the others are compared with it, or with that of the device.

    Args:
        teacher: The LDA.
        student: As trained; on the device, in evaluation.
        device: Where all but NumPy's run.
        compiled: Whether torch.compile takes part; it needs a compiler and half a minute.
    """
    yield from _lda_forms(teacher, device)
    yield from _student_forms(student, device, compiled=compiled)


def _lda_forms(teacher: MultiHeadLDA, device: torch.device) -> Iterator[Contestant | Absent]:
    parameters = 2 * teacher.num_heads * teacher.dimension
    size = 4 * parameters
    on_cpu = device.type == "cpu"
    numpy = Contestant("LDA, NumPy", lda_call(teacher, torch.device("cpu")), "queries", parameters, size)
    yield numpy._replace(is_reference=on_cpu)
    on_device = torch_lda_call(teacher, device)
    yield Contestant(
        f"LDA, torch on {device}", on_device, "tensors", parameters, size, is_reference=not on_cpu
    )
    for count in TOP_K:
        if count < teacher.num_heads:
            nearest = NearestHeads(teacher, exact_search(teacher, count))
            yield Contestant(f"LDA, top {count}", cast(Project, nearest.project), "arrays", parameters, size)
    yield _approximate(teacher, parameters)


def _approximate(teacher: MultiHeadLDA, parameters: int) -> Contestant | Absent:
    name = f"LDA, top {min(NEIGHBOURS, teacher.num_heads)} by faiss"
    try:
        search, index_bytes = approximate_search(teacher, threads=torch.get_num_threads())
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    nearest = NearestHeads(teacher, search)
    size = index_bytes + teacher.answers.nbytes
    return Contestant(name, cast(Project, nearest.project), "arrays", parameters, size)


def _student_forms(
    student: Student, device: torch.device, *, compiled: bool
) -> Iterator[Contestant | Absent]:
    kind, folded = _kind(student), student.fold()
    if not isinstance(folded, torch.nn.Module):
        yield from _plain_forms(kind, folded, device)
        return
    if folded is not student:
        folded = copy.deepcopy(folded).to(device).eval()
        yield _module_form(f"{kind}, published", student, student_call(student))
    name = f"{kind}, folded" if folded is not student else kind
    yield _module_form(name, folded, student_call(folded))
    name = f"{kind}, compiled"
    yield _compiled(name, folded, device) if compiled else Absent(name, COMPILE_HINT)
    yield _onnx(f"{kind}, ONNX Runtime", folded, device)
    if device.type == "cuda":
        yield _graph(f"{kind}, CUDA graph", folded, device, "tensors")
        yield _graph(f"{kind}, CUDA graph with the copy from the host", folded, device, "host")


def _plain_forms(kind: str, student: Projector, device: torch.device) -> Iterator[Contestant | Absent]:
    """Yield the one form of a student that is no torch module."""
    try:
        project, takes = runner_call(student, device)
    except DistillError as error:
        yield Absent(kind, error.message)
        return
    size = sum(array.nbytes for array in student.weights().values())
    yield Contestant(kind, project, takes, student.num_parameters, size)


def _kind(student: Student) -> str:
    return "student" if default_student().kind == student.KIND else f"student ({student.KIND})"


def _module_form(name: str, student: Projector, project: Project) -> Contestant:
    return Contestant(name, project, "tensors", student.num_parameters, 4 * student.num_parameters)


def _compiled(name: str, student: Projector, device: torch.device) -> Contestant | Absent:
    try:
        project = student_call(cast(torch.nn.Module, torch.compile(student, dynamic=False)))
        for size in (1, 2):
            project(torch.zeros(size, student.embed_dim, device=device))
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    return _module_form(name, student, project)


def _onnx(name: str, student: Projector, device: torch.device) -> Contestant | Absent:
    if not all(is_installed(package) for package in EXTRAS["onnx"]):
        return Absent(name, ONNX_HINT)
    try:
        require_extra("onnx")
        with failing_as("onnx or onnxruntime"):
            import onnxruntime as runtime

            from distill_core.students.networks.onnx_graph import QUERIES, onnx_model

            provider = "CPUExecutionProvider" if device.type == "cpu" else "CUDAExecutionProvider"
            if device.type != "cpu" and provider not in runtime.get_available_providers():
                return Absent(name, f"the installed onnxruntime does not run on {device}")
            content = onnx_model(copy.deepcopy(student).cpu())
            options = runtime.SessionOptions()
            options.log_severity_level = 3
            options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
            session = runtime.InferenceSession(content, options, providers=[provider])
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))

    def project(queries: object) -> object:
        return session.run(None, {QUERIES: queries})[0]

    return Contestant(name, project, "arrays", student.num_parameters, len(content))


def _graph(name: str, student: Projector, device: torch.device, takes: Form) -> Contestant | Absent:
    def by_size(batch: Matrix) -> Project:
        return graph_call(student, torch.from_numpy(batch).to(device))

    try:
        project = by_size(np.zeros((1, student.embed_dim), np.float32))
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    return Contestant(name, project, takes, student.num_parameters, 4 * student.num_parameters, by_size)


def _reason(error: BaseException) -> str:
    """Return the first line of what a package says, or its kind."""
    return f"does not work here: {first_line(error)}"
