"""Everyone who can take part in a comparison, built on one device, or the reason why not."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from subprocess import SubprocessError
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from distill_core.errors import DistillError
from distill_core.latency.nearest_heads import (
    NEIGHBOURS,
    NearestHeads,
    approximate_search,
    exact_search,
    installed_index,
)
from distill_core.latency.timing.calls import Project, lda_call, student_call, torch_lda_call
from distill_core.latency.timing.cuda_graphs import graph_call
from distill_core.students import Projector, Student
from distill_core.students.kinds import default_student
from distill_core.teacher import MultiHeadLDA

Rows = NDArray[np.float32]

BUILD_ERRORS = (RuntimeError, OSError, ImportError, MemoryError, SubprocessError, ValueError, DistillError)
"""What packages raise where they do not work on this machine; torch.compile raises most kinds."""

ANN_HINT = "needs faiss-cpu or usearch: pip install 'distill-tui[ann]'"
ONNX_HINT = "needs onnx and onnxruntime: pip install 'distill-tui[onnx]'"


class Entry(NamedTuple):
    """One that takes part.

    Attributes:
        name: As the table has it.
        project: Takes queries as `takes` says; for a CUDA graph a function of the batch size, see `by_size`.
        takes: "arrays", "queries" (the same, but (d,) for a single one), "tensors" of the device, or "host":
            tensors of the host to be copied inside the call.
        parameters: Numbers that are stored.
        size_bytes: What they take.
        by_size: Makes the call for one batch size, where it depends on it.
        is_reference: Whether the others are compared with this one.
    """

    name: str
    project: Project
    takes: str
    parameters: int
    size_bytes: int
    by_size: Callable[[Rows], Project] | None = None
    is_reference: bool = False


class Absent(NamedTuple):
    """One that cannot take part, and why."""

    name: str
    reason: str


class Field(NamedTuple):
    """What the contestants are built from.

    Attributes:
        teacher: The LDA.
        student: As trained; on the device, in evaluation.
        device: Where all but NumPy's run.
        top_k: To how many heads the LDA is restricted.
        compiled: Whether torch.compile takes part; it needs a compiler and half a minute.
    """

    teacher: MultiHeadLDA
    student: Student
    device: torch.device
    top_k: tuple[int, ...] = (8, 32)
    compiled: bool = False


def entries(field: Field) -> Iterator[Entry | Absent]:
    """Yield everyone, the LDA in NumPy first; the others are compared with it, or with that of the device."""
    yield from _lda_entries(field)
    yield from _student_entries(field)


def _lda_entries(field: Field) -> Iterator[Entry | Absent]:
    teacher = field.teacher
    parameters = 2 * teacher.num_heads * teacher.dimension
    size = 4 * parameters
    on_cpu = field.device.type == "cpu"
    numpy = Entry("LDA, NumPy", lda_call(teacher, torch.device("cpu")), "queries", parameters, size)
    yield numpy._replace(is_reference=on_cpu)
    on_device = torch_lda_call(teacher, field.device)
    yield Entry(
        f"LDA, torch on {field.device}", on_device, "tensors", parameters, size, is_reference=not on_cpu
    )
    for count in field.top_k:
        if count < teacher.num_heads:
            nearest = NearestHeads(teacher, exact_search(teacher, count))
            yield Entry(f"LDA, top {count}", cast(Project, nearest.project), "arrays", parameters, size)
    yield _approximate(teacher, parameters)


def _approximate(teacher: MultiHeadLDA, parameters: int) -> Entry | Absent:
    package = installed_index()
    name = f"LDA, approximate index ({package or 'not installed'})"
    if package is None:
        return Absent(name, ANN_HINT)
    try:
        search, index_bytes = approximate_search(teacher, package, threads=torch.get_num_threads())
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    nearest = NearestHeads(teacher, search)
    size = index_bytes + teacher.answers.nbytes
    name = f"LDA, top {min(NEIGHBOURS, teacher.num_heads)} by {package}"
    return Entry(name, cast(Project, nearest.project), "arrays", parameters, size)


def _student_entries(field: Field) -> Iterator[Entry | Absent]:
    student, folded = field.student, field.student.fold()
    kind = _kind(student)
    if folded is not student:
        folded = copy.deepcopy(folded).to(field.device).eval()
        yield _module_entry(f"{kind}, published", student, student_call(student))
    name = f"{kind}, folded" if folded is not student else kind
    yield _module_entry(name, folded, student_call(folded))
    yield _compiled(f"{kind}, compiled", folded, field)
    yield _onnx(f"{kind}, ONNX Runtime", folded, field.device)
    if field.device.type == "cuda":
        for takes, words in (("tensors", ""), ("host", " with the copy from the host")):
            yield _graph(f"{kind}, CUDA graph{words}", folded, field.device, takes)


def _kind(student: Student) -> str:
    return "student" if default_student().kind == student.KIND else f"student ({student.KIND})"


def _module_entry(name: str, student: Projector, project: Project) -> Entry:
    return Entry(name, project, "tensors", student.num_parameters, 4 * student.num_parameters)


def _compiled(name: str, student: Projector, field: Field) -> Entry | Absent:
    if not field.compiled:
        return Absent(name, "takes half a minute: ask for it with 'distill-tui latency --all --compile'")
    try:
        project = student_call(cast(torch.nn.Module, torch.compile(student, dynamic=False)))
        for size in (1, 2):
            project(torch.zeros(size, field.teacher.dimension, device=field.device))
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    return _module_entry(name, student, project)


def _onnx(name: str, student: Projector, device: torch.device) -> Entry | Absent:
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        return Absent(name, ONNX_HINT)
    try:
        runtime: Any = import_module("onnxruntime")
        provider = "CPUExecutionProvider" if device.type == "cpu" else "CUDAExecutionProvider"
        if device.type != "cpu" and provider not in runtime.get_available_providers():
            return Absent(name, f"the installed onnxruntime does not run on {device}")
        from distill_core.students.networks.onnx_graph import QUERIES, onnx_model

        content = onnx_model(copy.deepcopy(student).cpu())
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = runtime.InferenceSession(content, options, providers=[provider])
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))

    def project(queries: object) -> object:
        return session.run(None, {QUERIES: queries})[0]

    return Entry(name, project, "arrays", student.num_parameters, len(content))


def _graph(name: str, student: Projector, device: torch.device, takes: str) -> Entry | Absent:
    def by_size(batch: Rows) -> Project:
        return graph_call(student, torch.from_numpy(batch).to(device))

    try:
        project = by_size(np.zeros((1, student.embed_dim), np.float32))
    except BUILD_ERRORS as error:
        return Absent(name, _reason(error))
    return Entry(name, project, takes, student.num_parameters, 4 * student.num_parameters, by_size)


def _reason(error: BaseException) -> str:
    """Return the first line of what a package says, or its kind."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"does not work here: {line[:160]}"
