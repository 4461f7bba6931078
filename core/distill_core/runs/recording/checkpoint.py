"""Checkpoints: any state of a training in one safetensors file, written whole or not at all. No pickle.

Tensors have readable names, the rest is a tree in JSON. Its null, booleans, numbers, texts and arrays stand
for None, bool, int, finite float, str and list; all else is an object with one key that tells what it is.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from distill_core.errors import CheckpointError
from distill_core.runs.atomic_files import Check, reason, write_atomically, writing_error
from distill_core.runs.checkpoint_info import INFO_KEY, CheckpointInfo, missing, parse_info, unusable
from distill_core.safetensors_header import texts_in

State = Any
"""None, bool, int, float, str, tensor, array, or a list, tuple or dictionary of these with plain keys."""

_TUPLE, _DICT, _TENSOR, _ARRAY, _FLOAT, _TEXT = "tuple", "dict", "tensor", "array", "float", "text"
_ROOT = "state"
_DTYPES = frozenset(
    {
        torch.bool,
        *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
        *(torch.int8, torch.int16, torch.int32, torch.int64),
        *(
            torch.float8_e4m3fn,
            torch.float8_e5m2,
            torch.float16,
            torch.bfloat16,
            torch.float32,
            torch.float64,
        ),
        torch.complex64,
    }
)
"""Those that safetensors has a word for."""


class StateWriter:
    """Takes one state apart.

    Attributes:
        tensors: Copies on the CPU, contiguous, by the path to their place; arrays included.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}

    def tree(self, value: object, place: str = _ROOT) -> object:
        """Return the tree of a value, with the names of tensors in their places.

        Raises:
            CheckpointError: Something has no exact form.
        """
        if isinstance(value, Tensor):
            return {_TENSOR: self._add(place, _copied(value, place), "Tensor")}
        if type(value) is np.ndarray:
            return {_ARRAY: self._add(place, _as_tensor(value, place), "ndarray")}
        if isinstance(value, dict):
            return {
                _DICT: [(_key(key, place), self.tree(item, f"{place}/{key}")) for key, item in value.items()]
            }
        if type(value) is list:
            return self._items(value, place)
        if type(value) is tuple:
            return {_TUPLE: self._items(value, place)}
        return _scalar(value, place)

    def _items(self, values: Iterable[object], place: str) -> list[object]:
        return [self.tree(value, f"{place}/{number}") for number, value in enumerate(values)]

    def _add(self, place: str, tensor: Tensor, kind: str) -> str:
        if tensor.dtype not in _DTYPES:
            raise _no_exact_form(f"{str(tensor.dtype).removeprefix('torch.')} {kind}", place)
        wanted = place.encode("utf-8", "backslashreplace").decode()
        name, number = wanted, 1
        while name in self.tensors:
            number += 1
            name = f"{wanted}~{number}"
        self.tensors[name] = tensor
        return name


class StateReader:
    """Puts a state together from its tree and the tensors by their names."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self._readers: dict[str, Callable[[State], State]] = {
            _TUPLE: self._tuple,
            _DICT: self._dict,
            _TENSOR: self._tensor,
            _ARRAY: self._array,
            _FLOAT: float,
            _TEXT: self._text,
        }

    def state(self, tree: State) -> State:
        """Return the value of a tree.

        Raises:
            KeyError: A tensor is missing, or an object is of an unknown kind.
            ValueError: The tree is none that `StateWriter` makes; likewise the other errors of wrong types.
        """
        if isinstance(tree, list):
            return [self.state(item) for item in tree]
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        return self._readers[kind](content)

    def _dict(self, items: State) -> State:
        return {self.state(key): self.state(item) for key, item in items}

    def _tuple(self, items: State) -> State:
        return tuple(self.state(item) for item in items)

    def _array(self, name: State) -> State:
        return self._tensors[name].numpy()

    def _tensor(self, name: State) -> State:
        return self._tensors[name]

    def _text(self, content: State) -> State:
        return bytes.fromhex(content).decode("utf-8", "surrogatepass")


def _scalar(value: object, place: str) -> object:
    kind = type(value)  # subclasses, such as NumPy's float64 of float, would come back as something else
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        assert isinstance(value, float)
        return value if math.isfinite(value) else {_FLOAT: str(value)}
    if kind is str:
        assert isinstance(value, str)
        return value if _is_unicode(value) else {_TEXT: value.encode("utf-8", "surrogatepass").hex()}
    raise _no_exact_form(kind.__name__, place)


def _key(key: object, place: str) -> object:
    if isinstance(key, Tensor | np.ndarray | tuple):
        raise _no_exact_form(f"{type(key).__name__} as a key", place)
    return _scalar(key, place)


def _copied(tensor: Tensor, place: str) -> Tensor:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        raise _no_exact_form("Tensor", place)
    plain = tensor.detach().resolve_conj().resolve_neg()
    return plain.to("cpu", copy=True, memory_format=torch.contiguous_format)


def _as_tensor(array: np.ndarray[Any, Any], place: str) -> Tensor:
    try:
        return torch.from_numpy(np.array(array, order="C", copy=True))
    except (TypeError, ValueError) as error:  # texts, objects, foreign byte orders
        raise _no_exact_form("ndarray", place) from error


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_exact_form(what: str, place: str) -> CheckpointError:
    return CheckpointError(
        f"A checkpoint cannot hold a {what} at {place}.",
        "Save numbers, texts, tensors, arrays, and lists, tuples and dictionaries of them.",
    )


_STATE_KEY = "state"
_DIGEST_KEY = "sha256"


def encode_state(state: State, metadata: Mapping[str, str]) -> bytes:
    """Return a state, as it is now, as the bytes of a safetensors file.

    Types, bits of tensors, floats, order and types of keys come back exactly. Tensors come back on the CPU,
    apart from each other even where they shared memory; a dictionary of another type comes back as `dict`.

    Args:
        state: Tensors on any device, dense.
        metadata: Texts to keep beside it.

    Raises:
        CheckpointError: Something in the state has no exact form; the message names its place.
    """
    writer = StateWriter()
    try:
        tree = writer.tree(state)
        texts = {**metadata, "format": "pt", _STATE_KEY: json.dumps(tree, separators=(",", ":"))}
        digest = _digest(writer.tensors, texts)
        return save(writer.tensors, {**texts, _DIGEST_KEY: digest})
    except (SafetensorError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"The state cannot be saved ({type(error).__name__}: {error}).",
            "Save numbers, texts and tensors, nested less deeply.",
        ) from error


def decode_state(content: bytes) -> tuple[State, dict[str, str]]:
    """Return the state and the metadata in the bytes of a safetensors file.

    Raises:
        CheckpointError: The bytes are not whole, were changed, or hold no state. The message says why only.
    """
    try:
        tensors = load(content)
        texts = texts_in(BytesIO(content))
        digest = texts.pop(_DIGEST_KEY)
        if digest != _digest(tensors, texts):
            raise CheckpointError("its checksum does not fit")
        tree = json.loads(texts.pop(_STATE_KEY))
        return StateReader(tensors).state(tree), texts
    except KeyError as error:
        raise CheckpointError("it holds no state of a training") from error
    except (SafetensorError, ValueError, TypeError, AttributeError, RecursionError, AssertionError) as error:
        raise CheckpointError(f"{type(error).__name__}: {error}") from error


def _digest(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps(sorted(texts.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save_checkpoint(
    path: str | os.PathLike[str], state: State, info: CheckpointInfo, check: Check | None = None
) -> None:
    """Save a state atomically, in place of the checkpoint before; see `encode_state` for what it may hold.

    Sync the metrics first, so that they hold what `info.metrics_offset_bytes` counts on. `check` is as
    `write_atomically` takes it.

    Raises:
        CheckpointError: Something in the state has no exact form.
        RunError: The file cannot be written; the checkpoint before is kept.
    """
    _write(Path(path), encode_state(state, {INFO_KEY: msgspec.json.encode(info).decode()}), check)


def save_weights(path: str | os.PathLike[str], content: bytes, check: Check | None = None) -> None:
    """Save the content of a file of weights atomically, in place of the one before.

    `check` is as `write_atomically` takes it.

    Raises:
        RunError: The file cannot be written; the one before is kept.
    """
    _write(Path(path), content, check)


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[State, CheckpointInfo]:
    """Load a state, its tensors on the CPU, and where in the training it was saved.

    Raises:
        CheckpointError: The file is missing, is no checkpoint, or one bit of it is not as it was written.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise missing(file) from error
    except OSError as error:
        raise unusable(file, reason(error)) from error
    try:
        state, metadata = decode_state(content)
    except CheckpointError as error:
        raise unusable(file, error.message) from error
    return state, parse_info(file, metadata)


def _write(file: Path, content: bytes, check: Check | None) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise writing_error(file.parent, error) from error
    write_atomically(file, content, check)
