from __future__ import annotations

import errno
import json
import math
import os
import random
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import StepLR

from distill_core.errors import CheckpointError, RunError
from distill_core.runs import CheckpointInfo, load_checkpoint, read_checkpoint_info, save_checkpoint
from distill_core.runs.recording.checkpoint import State, decode_state, encode_state

INFO = CheckpointInfo(step=120, epoch=3, metrics_offset_bytes=4096)
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.uint8, torch.int64, torch.bool]

texts = st.text(st.characters(), max_size=8)  # lone surrogates, too
integers = st.integers(-(2**130), 2**130)
scalars = st.none() | st.booleans() | integers | st.floats() | texts
keys = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | texts


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Any bits, NaN with a payload included, of any shape, and not always contiguous."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    size = math.prod(shape) * dtype.itemsize
    content = bytearray(draw(st.binary(min_size=size, max_size=size)))
    if dtype == torch.bool:
        content = bytearray(byte & 1 for byte in content)
    flat = torch.frombuffer(content, dtype=dtype) if size else torch.empty(0, dtype=dtype)
    tensor = flat.reshape(shape)
    return tensor.transpose(0, -1) if len(shape) > 1 and draw(st.booleans()) else tensor


states = st.recursive(
    scalars | tensors(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


def spelt(state: State) -> object:
    """The state as plain values that differ wherever a type or a bit does."""
    if isinstance(state, Tensor):
        content = state.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return "tensor", state.dtype, tuple(state.shape), content
    if isinstance(state, np.ndarray):
        return "array", state.dtype, state.shape, state.tobytes()
    if isinstance(state, dict):
        return type(state), [(spelt(key), spelt(value)) for key, value in state.items()]
    if isinstance(state, list | tuple):
        return type(state), [spelt(item) for item in state]
    return type(state), repr(state)


def same(one: State, other: State) -> bool:
    return spelt(one) == spelt(other)


@given(states)
def test_any_state_comes_back_exactly(state: State) -> None:
    decoded, metadata = decode_state(encode_state(state, {"note": "τ"}))
    assert same(decoded, state)
    assert metadata["note"] == "τ"


def test_keys_that_give_the_same_path_stay_apart() -> None:
    state = {"a/b": torch.zeros(1), "a": {"b": torch.ones(1), 0: torch.ones(2), "0": torch.ones(3)}}
    assert same(decode_state(encode_state(state, {}))[0], state)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, schedule: StepLR, steps: int) -> None:
    for _ in range(steps):
        loss = model(torch.rand(4, 3)).square().mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()


def make_training() -> tuple[nn.Module, torch.optim.Optimizer, StepLR]:
    model = nn.Sequential(nn.Linear(3, 5), nn.Dropout(0.5), nn.Linear(5, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    return model, optimizer, StepLR(optimizer, step_size=2, gamma=0.9)


def test_training_from_a_checkpoint_ends_in_the_same_bits(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = np.random.default_rng(2**100)
        model, optimizer, schedule = make_training()
        train(model, optimizer, schedule, 5)
        state = {
            "student": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "torch": torch.get_rng_state(),
            "numpy": generator.bit_generator.state,
            "legacy": np.random.RandomState(5).get_state(legacy=False),
            "python": random.Random(4).getstate(),
            "best": float("-inf"),
        }
        save_checkpoint(tmp_path / "checkpoints" / "last.safetensors", state, INFO)
        train(model, optimizer, schedule, 5)
        drawn = generator.random(3)

        loaded, info = load_checkpoint(tmp_path / "checkpoints" / "last.safetensors")
        resumed, resumed_optimizer, resumed_schedule = make_training()
        resumed.load_state_dict(loaded["student"])
        resumed_optimizer.load_state_dict(loaded["optimizer"])
        resumed_schedule.load_state_dict(loaded["schedule"])
        torch.set_rng_state(loaded["torch"])
        train(resumed, resumed_optimizer, resumed_schedule, 5)
    assert info == INFO
    assert same(dict(resumed.state_dict()), dict(model.state_dict()))
    assert same(resumed_optimizer.state_dict(), optimizer.state_dict())
    generator.bit_generator.state = loaded["numpy"]
    assert generator.random(3).tolist() == drawn.tolist()
    python = random.Random()
    python.setstate(loaded["python"])
    assert python.random() == random.Random(4).random()
    legacy = np.random.RandomState()
    legacy.set_state(loaded["legacy"])
    assert legacy.rand() == np.random.RandomState(5).rand()
    assert loaded["best"] == float("-inf")


def test_the_file_is_plain_safetensors_with_readable_names(tmp_path: Path) -> None:
    file = tmp_path / "last.safetensors"
    state = OrderedDict(
        student={"weight": torch.eye(2)}, optimizer={"state": {0: {"step": torch.tensor(5.0)}}}
    )
    save_checkpoint(file, state, INFO)
    opened = load_file(file)
    assert set(opened) == {"state/student/weight", "state/optimizer/state/0/step"}
    assert torch.equal(opened["state/student/weight"], torch.eye(2))
    with safe_open(file, framework="pt") as handle:
        info = json.loads(handle.metadata()["info"])
    assert info["metrics_offset_bytes"] == 4096
    assert read_checkpoint_info(file) == INFO


def test_a_state_is_saved_as_it_is_now_and_loaded_apart_from_the_file() -> None:
    weight = torch.zeros(3, requires_grad=True)
    shared = {"all": weight, "part": weight[1:]}
    content = encode_state(shared, {})
    loaded, _ = decode_state(content)
    loaded["all"] += 1
    assert same(decode_state(content)[0], {"all": torch.zeros(3), "part": torch.zeros(2)})


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"a": [1, {2, 3}]}, "set at state/a/1"),
        ({"a": {(1, 2): 0}}, "tuple as a key at state/a"),
        ({"a": b"x"}, "bytes at state/a"),
        ({"a": np.float64(1)}, "float64 at state/a"),
        ({"a": np.array([object()])}, "ndarray at state/a"),
        ({"a": torch.zeros(1, dtype=torch.complex128)}, "complex128 Tensor at state/a"),
        ({"a": np.array(["text"])}, "ndarray at state/a"),
        ({"a": np.zeros(2, ">f8")}, "ndarray at state/a"),
        ({"a": torch.eye(2).to_sparse()}, "Tensor at state/a"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_its_place(tmp_path: Path, state: State, place: str) -> None:
    with pytest.raises(CheckpointError, match=place):
        save_checkpoint(tmp_path / "last.safetensors", state, INFO)
    assert list(tmp_path.iterdir()) == []


def test_arrays_come_back_as_arrays_and_a_state_within_itself_is_refused() -> None:
    arrays: dict[str, State] = {
        "keys": np.arange(624, dtype=np.uint32),
        "none": np.empty((0, 3), np.float16),
        "one": np.array(2 - 1j, np.complex64),
        "turned": np.arange(6.0).reshape(2, 3).T,
    }
    decoded, _ = decode_state(encode_state(arrays, {}))
    assert same(decoded, arrays)
    arrays["self"] = arrays
    with pytest.raises(CheckpointError, match="cannot be saved"):
        encode_state(arrays, {})


@pytest.mark.parametrize("seam", ["write", "fsync", "replace"])
def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seam: str
) -> None:
    file = tmp_path / "last.safetensors"
    save_checkpoint(file, {"step": 1}, INFO)

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, seam, full)
        with pytest.raises(RunError, match="disk is full"):
            save_checkpoint(file, {"step": 2}, INFO)
    assert load_checkpoint(file)[0] == {"step": 1}
    assert list(tmp_path.iterdir()) == [file]


def test_a_damaged_checkpoint_is_refused_whichever_byte_it_is(tmp_path: Path) -> None:
    file, damaged = tmp_path / "last.safetensors", tmp_path / "damaged.safetensors"
    save_checkpoint(file, {"weight": torch.arange(6.0), "step": 7, "name": "λ"}, INFO)
    whole = file.read_bytes()
    rng, messages = random.Random(0), set[str]()
    for place in range(0, len(whole), 2):
        content = bytearray(whole)
        content[place] ^= 1 << rng.randrange(8)
        damaged.write_bytes(content)
        try:
            state, info = load_checkpoint(damaged)
        except CheckpointError as error:
            messages.add(error.message)
        else:  # a blank that became another blank, or a letter of an escape in the other case
            assert same(state, {"weight": torch.arange(6.0), "step": 7, "name": "λ"})
            assert info == INFO
            assert chr(whole[place]) in ' "abcdefABCDEF'
    assert messages
    assert all(message.startswith(f"The checkpoint {damaged} cannot be used: ") for message in messages)
    for size in range(0, len(whole), 7):
        damaged.write_bytes(whole[:size])
        for read in (load_checkpoint, read_checkpoint_info):
            with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
                read(damaged)


def test_other_files_are_no_checkpoints(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file({"weight": torch.zeros(2)}, weights)
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors", {"format": "pt", "info": "{}"})
    for file in (weights, tmp_path / "other.safetensors", tmp_path):
        for read in (load_checkpoint, read_checkpoint_info):
            with pytest.raises(CheckpointError, match="cannot be used"):
                read(file)
    for read in (load_checkpoint, read_checkpoint_info):
        with pytest.raises(CheckpointError, match="There is no checkpoint"):
            read(tmp_path / "nothing.safetensors")
