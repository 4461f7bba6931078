from __future__ import annotations

import hashlib
import json
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from distill_core.config import DataConfig, RunConfig, SplitConfig, TrainingConfig
from distill_core.errors import CheckpointError, OutputError
from distill_core.outputs import Output
from distill_core.runs import atomic_files
from distill_core.students import (
    EncoderConfig,
    ProjectionTransformer,
    load_student,
    read_run_config,
    save_student,
)
from tests.core.students.test_encoder import make_queries, make_student

NAMES = ["student.pt", "student.safetensors", "student.bin", "student"]
SHAPE: dict[str, object] = {"embed_dim": 8, "num_heads": 2, "num_layers": 1, "ff_dim": 12, "dropout": 0.1}


@pytest.fixture
def student() -> ProjectionTransformer:
    return make_student(8, 2, 1, 12, dropout=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_student_comes_back_whole(tmp_path: Path, student: ProjectionTransformer, name: str) -> None:
    loaded = load_student(save_student(student.train(), tmp_path / "new folder" / name))
    assert {key: getattr(loaded, key) for key in SHAPE} == {**SHAPE, "dropout": 0.3}
    assert all(torch.equal(loaded.state_dict()[key], weight) for key, weight in student.state_dict().items())
    assert isinstance(loaded, ProjectionTransformer)
    assert loaded.encoder.layers[0].dropout.p == 0.3
    assert not loaded.training
    assert student.training


def test_the_content_tells_the_format_not_the_name(tmp_path: Path, student: ProjectionTransformer) -> None:
    for written, named in (("a.pt", "b.safetensors"), ("c.safetensors", "d.pt")):
        save_student(student, tmp_path / written).rename(tmp_path / named)
        np.testing.assert_array_equal(
            load_student(tmp_path / named).project(make_queries()), student.project(make_queries())
        )


def test_pt_has_the_layout_of_the_published_checkpoint(tmp_path: Path, reference_db: Path) -> None:
    published = torch.load(reference_db / "reference_student_h4_l2.pt", weights_only=True)
    saved = torch.load(save_student(ProjectionTransformer(), tmp_path / "s.pt"), weights_only=True)
    assert list(saved) == list(published)
    for key, value in published.items():
        if isinstance(value, dict):
            shapes = {name: (weight.shape, weight.dtype) for name, weight in value.items()}
            assert {name: (weight.shape, weight.dtype) for name, weight in saved[key].items()} == shapes
        else:
            assert (type(saved[key]), saved[key]) == (type(value), value)


def test_safetensors_carry_the_shape_beside_the_weights(
    tmp_path: Path, student: ProjectionTransformer
) -> None:
    with safe_open(save_student(student, tmp_path / "s.safetensors"), framework="pt") as file:
        assert set(file.keys()) == set(student.state_dict())
        digest = hashlib.sha256()
        for name, weight in sorted(student.state_dict().items()):
            digest.update(name.encode() + weight.numpy().tobytes())
        assert file.metadata() == {
            "sha256": digest.hexdigest(),
            "format": "pt",
            "student": "encoder",
            "embed_dim": "8",
            "num_heads": "2",
            "num_layers": "1",
            "ff_dim": "12",
            "dropout": "0.3",
        }


CONFIG = RunConfig(
    data=DataConfig(database="/data/Größe τ/lda.db", mh_id=3, temperature=0.1),
    split=SplitConfig(split="cluster", validation_fraction=0.15, exclude_near_duplicates=True),
    student=EncoderConfig(heads=2, layers=1, ff_dim=12, dropout=0.3),
    training=TrainingConfig(epochs=7, learning_rate=1e-3, mse_reduction="sum", seed=2**32 - 1),
)


@pytest.mark.parametrize("name", NAMES[1:])
@pytest.mark.parametrize("config", [CONFIG, RunConfig(data=DataConfig(database=""))])
def test_safetensors_remember_the_settings_of_their_run(
    tmp_path: Path, student: ProjectionTransformer, name: str, config: RunConfig
) -> None:
    file = save_student(student, tmp_path / name, config)
    assert read_run_config(file) == config
    loaded = load_student(file)
    assert {key: getattr(loaded, key) for key in SHAPE} == {**SHAPE, "dropout": 0.3}
    assert all(torch.equal(loaded.state_dict()[key], weight) for key, weight in student.state_dict().items())


def test_files_without_the_settings_of_a_run_have_none(
    tmp_path: Path, student: ProjectionTransformer
) -> None:
    assert read_run_config(save_student(student, tmp_path / "s.pt", CONFIG)) is None
    assert read_run_config(save_student(student, tmp_path / "s.safetensors")) is None
    save_file(dict(student.state_dict()), tmp_path / "bare.safetensors")
    assert read_run_config(tmp_path / "bare.safetensors") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "[1]",
        '{"data": {}}',
        '{"data": {"database": "a"}, "student": {"heads": 0}}',
        "\ud800",
    ],
)
def test_settings_that_are_damaged_are_refused(
    tmp_path: Path, student: ProjectionTransformer, text: str
) -> None:
    whole = save_student(student, tmp_path / "s.safetensors", CONFIG).read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    header["__metadata__"]["config"] = text
    encoded = json.dumps(header).encode()
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(len(encoded).to_bytes(8, "little") + encoded + whole[8 + size :])
    with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
        read_run_config(damaged)


def test_settings_of_a_truncated_or_missing_file_are_refused(
    tmp_path: Path, student: ProjectionTransformer
) -> None:
    whole = save_student(student, tmp_path / "s.safetensors", CONFIG).read_bytes()
    damaged = tmp_path / "cut.safetensors"
    for kept in [9, 10, 100, len(whole) // 2, len(whole) - 1]:
        damaged.write_bytes(whole[:kept])
        with pytest.raises(CheckpointError, match=r"cut\.safetensors"):
            read_run_config(damaged)
    for place in (tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(CheckpointError):
            read_run_config(place)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_truncated_file_is_refused(tmp_path: Path, student: ProjectionTransformer, name: str) -> None:
    whole = save_student(student, tmp_path / name).read_bytes()
    damaged = tmp_path / f"cut-{name}"
    for kept in [0, 1, 7, 8, 9, *range(10, len(whole), len(whole) // 40), len(whole) - 1]:
        damaged.write_bytes(whole[:kept])
        with pytest.raises(CheckpointError, match="cut-student"):
            load_student(damaged)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_file_damaged_at_random_is_loaded_or_refused_but_never_crashes(
    tmp_path: Path, legacy: bool
) -> None:
    parts = {
        part: getattr(make_student(8, 2, 1), part).state_dict() for part in ("input_proj", "output_proj")
    }
    file = tmp_path / "s.pt"
    torch.save({**SHAPE, **parts}, file, _use_new_zipfile_serialization=not legacy)
    whole, rng, refused = file.read_bytes(), np.random.default_rng(0), 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(150):
            damaged = bytearray(whole)
            for place in rng.integers(0, 700, 4):
                damaged[place] = rng.integers(256)
            file.write_bytes(damaged)
            try:
                load_student(file)
            except CheckpointError:
                refused += 1
    assert refused == 150  # the encoder is missing, so nothing can load


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("name", ["evil.pt", "evil.safetensors"])
@pytest.mark.parametrize("plain", [True, False])
def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path: Path, name: str, plain: bool) -> None:
    marker, file = tmp_path / "marker", tmp_path / name
    content = {**SHAPE, "input_proj": Evil(marker)}
    if plain:
        file.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, file)
    with pytest.raises(CheckpointError, match="evil"):
        load_student(file)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        5,
        [1],
        torch.zeros(3),
        {},
        {"model": torch.zeros(2)},
        SHAPE,
        {**SHAPE, "num_heads": 0},
        {**SHAPE, "num_heads": 3},
        {**SHAPE, "embed_dim": float("inf")},
        {**SHAPE, "embed_dim": None},
        {**SHAPE, "dropout": 2.0},
        {**SHAPE, "num_layers": -1},
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"other\.pt does not hold a student"):
        load_student(tmp_path / "other.pt")


@pytest.mark.parametrize(
    "metadata",
    [None, {"embed_dim": "8"}, {key: str(value) for key, value in SHAPE.items()} | {"ff_dim": "13"}],
)
def test_safetensors_of_something_else_are_refused(
    tmp_path: Path, student: ProjectionTransformer, metadata: dict[str, str] | None
) -> None:
    save_file(dict(student.state_dict()), tmp_path / "other.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"other\.safetensors does not hold a student"):
        load_student(tmp_path / "other.safetensors")


@pytest.mark.parametrize("name", ["nothing.pt", ".", "x" * 300])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError):
        load_student(tmp_path / name)


def test_a_student_of_another_dimension_is_refused(tmp_path: Path, student: ProjectionTransformer) -> None:
    file = save_student(student, tmp_path / "s.pt")
    assert load_student(file, dimension=8).embed_dim == 8
    with pytest.raises(CheckpointError, match="dimension 8, the projection has 384"):
        load_student(file, dimension=384)


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_failed_save_keeps_the_file_before_it(
    tmp_path: Path, student: ProjectionTransformer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = save_student(student, tmp_path / name)
    before = file.read_bytes()

    def full_disk(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:4])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files, "write_all", full_disk)
    with pytest.raises(OutputError, match="the disk is full"):
        save_student(student, file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", NAMES[:2])
def test_a_saved_file_has_the_usual_permissions_and_no_company(
    tmp_path: Path, student: ProjectionTransformer, name: str
) -> None:
    (tmp_path / "usual").touch()
    file = save_student(student, tmp_path / "students" / name)
    assert file.stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert list(file.parent.iterdir()) == [file]


def test_a_place_that_cannot_be_written_is_refused_before_and_after(
    tmp_path: Path, student: ProjectionTransformer
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "s.pt", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(OutputError, match=r"cannot be written|is a folder"):
            save_student(student, place)
        with pytest.raises(OutputError, match=r"cannot be written|is a folder"):
            Output(place)


def test_asking_whether_a_place_can_be_written_leaves_nothing_there(tmp_path: Path) -> None:
    Output(tmp_path / "folder" / "s.pt")
    assert list((tmp_path / "folder").iterdir()) == []
    (tmp_path / "s.pt").write_bytes(b"old")
    Output(tmp_path / "s.pt", replace=True)
    assert (tmp_path / "s.pt").read_bytes() == b"old"


def test_a_changed_bit_in_the_weights_is_noticed(tmp_path: Path, student: ProjectionTransformer) -> None:
    file = save_student(student, tmp_path / "s.safetensors")
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="does not hold a student's weights"):
        load_student(file)


def test_where_only_safetensors_belong_no_pickle_is_opened(
    tmp_path: Path, student: ProjectionTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_student(student, tmp_path / "s.pt")
    (tmp_path / "s.pt").rename(tmp_path / "s.safetensors")
    assert load_student(tmp_path / "s.safetensors").shape == student.shape
    monkeypatch.setattr(torch, "load", lambda *args, **options: pytest.fail("a pickle is opened"))
    with pytest.raises(CheckpointError, match="does not hold a student's weights"):
        load_student(tmp_path / "s.safetensors", reference_layout=False)
