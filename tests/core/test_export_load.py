"""A student loaded in one line from wherever it is."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

import distill_core
from distill_core.errors import CheckpointError, DistillError, VectorError
from distill_core.export import ExportParts, export_run, load
from distill_core.runs import RunFolder
from distill_core.students import (
    FoldedEncoder,
    MlpStudent,
    ProjectionTransformer,
    load_student,
    save_student,
    student_bytes,
)
from tests.core.finished_run import finish_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finish_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, run: RunFolder) -> Path:
    folder = tmp_path_factory.mktemp("export")
    list(export_run(run, folder, ExportParts(reference=True)))
    return folder


@pytest.fixture
def queries() -> NDArray[np.float32]:
    return np.random.default_rng(5).standard_normal((20, 8)).astype(np.float32)


def expected_of(run: RunFolder, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.no_grad():
        outputs: NDArray[np.float32] = load_student(run.best_checkpoint)(torch.from_numpy(queries)).numpy()
    return outputs


@pytest.mark.parametrize("form", ["", "model.safetensors", "model_folded.safetensors", "model.pt"])
def test_an_export_and_each_of_its_files(
    run: RunFolder, export: Path, queries: NDArray[np.float32], form: str
) -> None:
    student = distill_core.load(str(export / form))
    assert isinstance(student, FoldedEncoder)
    assert not student.training
    np.testing.assert_allclose(student.project(queries), expected_of(run, queries), rtol=0, atol=1e-5)
    assert student.project(queries[0]).shape == (8,)
    with pytest.raises(VectorError):
        student.project(queries[:, :5])


def test_a_run(run: RunFolder, queries: NDArray[np.float32]) -> None:
    student = load(run.path)
    assert isinstance(student, FoldedEncoder)
    np.testing.assert_allclose(student.project(queries), expected_of(run, queries), rtol=0, atol=1e-5)


def test_an_export_without_the_folded_file(
    tmp_path: Path, run: RunFolder, export: Path, queries: NDArray[np.float32]
) -> None:
    shutil.copy(export / "model.safetensors", tmp_path)
    np.testing.assert_allclose(load(tmp_path).project(queries), expected_of(run, queries), rtol=0, atol=1e-5)


def test_a_student_that_does_not_fold_is_itself(tmp_path: Path) -> None:
    file = save_student(MlpStudent(8, 2, 5), tmp_path / "mlp.safetensors")
    assert isinstance(load(file), MlpStudent)


def test_the_folded_file_is_the_folded_form_to_the_bit(tmp_path: Path) -> None:
    student = ProjectionTransformer(8, 2, 3, 5).eval()
    (tmp_path / "folded").write_bytes(student_bytes(student.fold()))
    loaded, folded = load(tmp_path / "folded"), student.fold()
    assert set(loaded.state_dict()) == set(folded.state_dict())
    for name, weight in folded.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_loading_draws_no_random_numbers(export: Path) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load(export / "model_folded.safetensors")
    assert torch.equal(torch.rand(3), expected)


def test_what_holds_no_student_is_named(tmp_path: Path, run: RunFolder, export: Path) -> None:
    untrained = RunFolder.create(tmp_path / "runs", run.read_config())
    (tmp_path / "empty").mkdir()
    for place, words in (
        (tmp_path / "nowhere", "There is no file of weights"),
        (tmp_path / "empty", "neither an export nor a run"),
        (untrained.path, "has no weights yet"),
        (export / "model.onnx", "which onnxruntime opens"),
        (export / "README.md", "does not hold a student's weights"),
        (run.last_checkpoint, "does not hold a student's weights"),
    ):
        with pytest.raises(CheckpointError, match=words) as raised:
            load(place)
        assert raised.value.hint


def test_a_folded_file_is_no_student_to_go_on_with(export: Path) -> None:
    with pytest.raises(CheckpointError, match="does not hold a student's weights"):
        load_student(export / "model_folded.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        {"embed_dim": "8"},
        {"embed_dim": "x", "num_layers": "2", "ff_dim": "12"},
        {"embed_dim": "16", "num_layers": "2", "ff_dim": "12"},
        {"embed_dim": "8", "num_layers": "3", "ff_dim": "12"},
        {"embed_dim": "8", "num_layers": "2", "ff_dim": "1000000000000000"},
        {"embed_dim": "0", "num_layers": "2", "ff_dim": "12"},
        {"embed_dim": "-8", "num_layers": "2", "ff_dim": "12"},
    ],
)
def test_a_shape_that_the_weights_do_not_have_is_an_error(
    tmp_path: Path, export: Path, metadata: dict[str, str]
) -> None:
    file = tmp_path / "model_folded.safetensors"
    weights = load_file(export / "model_folded.safetensors")
    save_file(weights, file, {"student": "folded_encoder", **metadata})
    with pytest.raises(CheckpointError):
        load(file)


def test_random_damage_is_an_error_or_harmless(tmp_path: Path, export: Path) -> None:
    whole = (export / "model_folded.safetensors").read_bytes()
    file, chance, refused = tmp_path / "model_folded.safetensors", random.Random(2), 0
    for _ in range(150):
        damaged = bytearray(whole[: chance.randrange(len(whole))] if chance.random() < 0.3 else whole)
        for _ in range(3):
            if damaged:
                damaged[chance.randrange(min(len(damaged), 2000))] = chance.randrange(256)
        file.write_bytes(bytes(damaged))
        try:
            load(file)
        except DistillError as error:
            refused += isinstance(error, CheckpointError)
    assert refused > 100
