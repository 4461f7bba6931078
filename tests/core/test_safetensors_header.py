"""Files of weights and checkpoints on a file system that cannot map files."""

from __future__ import annotations

import errno
import mmap
import os
from io import BytesIO
from pathlib import Path

import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError

import distill_core
from distill_core.config import DataConfig, RunConfig
from distill_core.runs import CheckpointInfo, load_checkpoint, read_checkpoint_info, save_checkpoint
from distill_core.safetensors_header import texts_in
from distill_core.students import (
    FoldedEncoder,
    ProjectionTransformer,
    load_for_inference,
    load_student,
    read_run_config,
    save_student,
    student_bytes,
)


def test_sound_files_are_read_where_nothing_can_be_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_map(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    monkeypatch.setattr(mmap, "mmap", no_map)
    for module in (safetensors, safetensors.torch, safetensors.numpy):
        monkeypatch.setattr(module, "safe_open", no_map)
    student = ProjectionTransformer(8, num_heads=2, num_layers=1, ff_dim=12)
    config = RunConfig(data=DataConfig(database="a.db"))
    for name in ("s.safetensors", "s.pt"):
        loaded = load_student(save_student(student, tmp_path / name, config))
        assert torch.equal(loaded.state_dict()["input_proj.weight"], student.input_proj.weight)
    assert read_run_config(tmp_path / "s.safetensors") == config
    (tmp_path / "folded").write_bytes(student_bytes(student.fold(), config))
    assert isinstance(load_for_inference(tmp_path / "folded"), FoldedEncoder)
    save_checkpoint(
        tmp_path / "last", {"a": torch.ones(2)}, CheckpointInfo(step=1, epoch=1, metrics_offset_bytes=0)
    )
    assert read_checkpoint_info(tmp_path / "last").step == 1
    assert torch.equal(load_checkpoint(tmp_path / "last")[0]["a"], torch.ones(2))


def test_nothing_in_the_sources_maps_a_file_but_what_looks_whether_it_was_cut() -> None:
    root = Path(distill_core.__file__).parents[1]
    sources = {path.name: path.read_text("utf-8") for path in root.rglob("*.py")}
    mapping = ("safe_open(", "mmap_mode", "import mmap", "memmap")
    assert {name for name, text in sources.items() if any(words in text for words in mapping)} == {
        "arrays.py",  # memory alone, of no file
        "matrix_file.py",  # asks before each access, see MappedRows
    }


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\x08\0\0",
        b"\xff" * 8 + b"{}",
        b"\x02" + b"\0" * 7 + b"{}more",
        b"\x02" + b"\0" * 7 + b"[]",
        b"\x02" + b"\0" * 7 + b"{\xff",
        b"\x0a" + b"\0" * 7 + b'{"a":{}   ',
        b"\x08" + b"\0" * 7 + b'{"a":{}}',
        b"\x1a" + b"\0" * 7 + b'{"a":{"data_offsets":[0]}}',
    ],
)
def test_a_header_that_is_not_sound_is_refused(damaged: bytes) -> None:
    with pytest.raises(SafetensorError, match=r"header|bytes are there"):
        texts_in(BytesIO(damaged))
