"""The ONNX form of every student, in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from distill_core.errors import ExportError
from distill_core.export.contents import CheckQueries, check_queries
from distill_core.students import MemoryStudent, MlpStudent, ProjectionTransformer, Projector, Student
from distill_core.students.networks import onnx_graph
from distill_core.students.networks.onnx_graph import onnx_difference, onnx_model
from distill_core.teacher import MultiHeadLDA

D = 12
SHAPES: dict[str, Callable[[], Student]] = {
    "encoder of one layer": lambda: ProjectionTransformer(D, 2, 1, 20),
    "encoder of three": lambda: ProjectionTransformer(D, 4, 3, 7),
    "memory of one layer": lambda: MemoryStudent(D, 1, 1, 5, 12),
    "memory of three": lambda: MemoryStudent(D, 3, 3, 8, 6),
    "mlp of one layer": lambda: MlpStudent(D, 1, 9),
    "mlp of three": lambda: MlpStudent(D, 3, 9, 0.5),
}


def student_of(shape: str) -> Student:
    """A student none of whose numbers is a default."""
    torch.manual_seed(3)
    student = SHAPES[shape]()
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return student.eval()


def run_onnx(content: bytes, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (projected,) = session.run(None, {"queries": rows})
    assert isinstance(projected, np.ndarray)
    return projected


@pytest.mark.parametrize("shape", SHAPES)
def test_the_model_is_the_students_function_for_batches_of_any_size(shape: str) -> None:
    student = student_of(shape)
    content = onnx_model(student.fold())
    rows = np.random.default_rng(1).standard_normal((1000, D)).astype(np.float32)
    rows[0] = 0.0
    rows[1] *= 100.0
    rows[2] *= 1e-4
    with torch.no_grad():
        expected = student(torch.from_numpy(rows)).numpy()
    for batch in (slice(0, 1), slice(0, 2), slice(0, 1000)):
        difference = np.abs(run_onnx(content, rows[batch]) - expected[batch]).max()
        assert difference <= 1e-5 * np.abs(expected).max()
    assert run_onnx(content, rows[:0]).shape == (0, D)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_file_says_what_it_takes(shape: str) -> None:
    model = onnx.load_from_string(onnx_model(student_of(shape).fold(), {"run": "n18"}))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version >= 17) for opset in model.opset_import] == [("", True)]
    for values, name in ((model.graph.input, "queries"), (model.graph.output, "projections")):
        (value,) = values
        assert value.name == name
        batch, dimension = value.type.tensor_type.shape.dim
        assert (batch.dim_param, dimension.dim_value) == ("batch", D)
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("run", "n18")]


def test_the_check_tells_another_student() -> None:
    one, other = student_of("memory of three"), student_of("memory of one layer")
    queries = check_queries(None, None, D)
    assert onnx_difference(onnx_model(one), one, queries.rows) <= 1e-5
    with pytest.raises(ExportError, match="differ from torch's"):
        onnx_difference(onnx_model(one), other, queries.rows)


@pytest.mark.parametrize("shape", ["encoder of three", "memory of one layer", "mlp of three"])
def test_one_number_off_by_a_little_is_told(shape: str) -> None:
    student = student_of(shape)
    content = onnx_model(student.fold())
    with torch.no_grad():
        next(student.parameters()).view(-1)[0] += 0.01
    with pytest.raises(ExportError, match="differ from torch's"):
        onnx_difference(content, student.fold(), check_queries(None, None, D).rows)


def test_the_check_tells_outputs_that_are_no_numbers() -> None:
    student = student_of("mlp of one layer")
    with torch.no_grad():
        next(student.parameters()).fill_(float("nan"))
    with pytest.raises(ExportError, match="differ from torch's by nan"):
        onnx_difference(onnx_model(student), student, check_queries(None, None, D).rows)


def test_a_file_that_onnxruntime_does_not_run_is_told() -> None:
    student = student_of("mlp of one layer")
    model = onnx.load_from_string(onnx_model(student))
    model.graph.node[0].op_type = "Nonsense"
    with pytest.raises(ExportError, match="onnxruntime does not run"):
        onnx_difference(model.SerializeToString(), student, check_queries(None, None, D).rows)


def test_a_very_low_temperature_is_granted_its_rounding() -> None:
    """Its softmax enlarges the rounding of float32 beyond 1e-5, in torch as much as in onnxruntime."""
    rng = np.random.default_rng(0)
    teacher = MultiHeadLDA(rng.normal(size=(256, 64)), rng.normal(size=(256, 64)), 1e-4)
    student = MemoryStudent(64, 1, 1, 256, 64)
    student.start_from(teacher)
    content = onnx_model(student.eval())
    difference = onnx_difference(content, student, check_queries(None, None, 64).rows)
    assert difference > 1e-5
    student.layers[0].values.data[0, 0] += 0.5  # type: ignore[operator, index]
    with pytest.raises(ExportError, match="differ from torch's"):
        onnx_difference(content, student, check_queries(None, None, 64).rows)


def test_unknown_students_and_too_large_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Projector):
        embed_dim = D
        shape: ClassVar[dict[str, int]] = {"embed_dim": D}

        def forward(self, queries: torch.Tensor) -> torch.Tensor:
            return queries

    with pytest.raises(ExportError, match="A Other has no ONNX form"):
        onnx_model(Other())
    monkeypatch.setattr(onnx_graph, "_MAX_BYTES", 400)
    with pytest.raises(ExportError, match="more than 2 GiB"):
        onnx_model(student_of("mlp of three"))


def test_random_queries_are_of_length_one_and_always_the_same() -> None:
    queries = check_queries(None, None, D)
    assert isinstance(queries, CheckQueries)
    assert queries.rows.shape == (1000, D)
    np.testing.assert_allclose(np.linalg.norm(queries.rows, axis=1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(queries.rows, check_queries(None, None, D).rows)
    assert len(np.unique(queries.rows, axis=0)) == 1000
