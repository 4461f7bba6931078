"""What an export can do without: broken packages are left out. What it cannot: batches of every size."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from distill_core.errors import ExportError
from distill_core.evaluation.near_heads import NearestHeads, exact_search
from distill_core.export import ExportFinished, export_run
from distill_core.extras import failing_as, first_line, import_extra
from distill_core.students import (
    MemoryStudent,
    MlpStudent,
    ProjectionTransformer,
    Student,
    load_student,
    save_student,
)
from distill_core.students.networks.onnx_graph import BATCHES, onnx_model
from distill_core.teacher import MultiHeadLDA
from tests.core.finished_run import finish_run

RAISED = (
    'raise ImportError("numpy.core failed")',
    'raise AttributeError("numpy.core failed")',
    'raise SystemExit("numpy.core failed")',
    "raise ImportError() from ValueError('numpy.core failed')",
)


def break_package(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, line: str) -> None:
    """Let a package of this name stand before the real one, and raise while it is imported."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(f"import sys\nprint('Traceback', file=sys.stderr)\n{line}\n")
    monkeypatch.syspath_prepend(str(folder))
    for module in [key for key in sys.modules if key.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)


@pytest.mark.parametrize("line", RAISED)
@pytest.mark.parametrize("package", ["onnxruntime", "onnx", "tensorboard"])
def test_a_broken_extra_breaks_nothing_else(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
    line: str,
) -> None:
    run = finish_run(tmp_path)
    break_package(monkeypatch, tmp_path / "packages", package, line)
    finished = list(export_run(run, tmp_path / "export"))[-1]
    assert isinstance(finished, ExportFinished)
    part = "tensorboard" if package == "tensorboard" else "onnx"
    assert list(finished.report.left_out) == [part]
    assert package in finished.report.left_out[part]
    assert "numpy.core failed" in finished.report.left_out[part]
    assert {"config.toml", "config.json", "metrics.csv", "README.md"} <= set(finished.report.files)
    assert capsys.readouterr().err == ""


def test_an_index_that_works_stands_in_for_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_package(monkeypatch, tmp_path, "faiss", RAISED[1])
    with pytest.raises(ExportError, match=r"faiss is installed, but cannot be imported: numpy\.core failed"):
        import_extra("faiss")


def test_a_failure_without_words_is_told_by_its_kind() -> None:
    assert first_line(KeyError()) == "KeyError"
    with (
        pytest.raises(ExportError, match="It does not work: ZeroDivisionError"),
        failing_as("It does not work"),
    ):
        raise ZeroDivisionError


@pytest.mark.parametrize("size", BATCHES)
@pytest.mark.parametrize(
    "student",
    [ProjectionTransformer(12, 2, 1, 20), MlpStudent(12, 1, 9), MemoryStudent(12, 3, 2, 5, 6)],
    ids=lambda student: student.KIND,
)
def test_every_form_takes_batches_of_any_size(tmp_path: Path, student: Student, size: int) -> None:
    rows = np.random.default_rng(size).standard_normal((size, 12)).astype(np.float32)
    expected = student.eval().project(rows)
    assert expected.shape == (size, 12)
    loaded = load_student(save_student(student, tmp_path / "s.safetensors"))
    for form in (student.fold(), loaded, loaded.fold()):
        np.testing.assert_allclose(form.project(rows), expected, atol=1e-5)
    training = student.train().training_form()
    assert training(torch.from_numpy(rows)).shape == (size, 12)


def test_teachers_take_batches_of_any_size() -> None:
    random = np.random.default_rng(0)
    for temperature in (0.001, 1.0):
        lda = MultiHeadLDA(random.standard_normal((7, 12)), random.standard_normal((7, 12)), temperature)
        for size in BATCHES:
            rows = random.standard_normal((size, 12)).astype(np.float32)
            assert lda.project(rows).shape == NearestHeads(lda, exact_search(lda, 3)).project(rows).shape
            assert lda.route(rows).shape == (size, 7)


def test_no_node_of_a_memory_has_three_axes() -> None:
    """Older runtimes die of such a product of nothing; they cannot be asked here, so the graph is."""
    import onnx

    model = onnx.shape_inference.infer_shapes(
        onnx.load_from_string(onnx_model(MemoryStudent(12, 3, 2, 5, 6).eval()))
    )
    ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in model.graph.value_info}
    assert set(ranks.values()) <= {0, 1, 2}
