"""Any state of a training as one safetensors file: tensors by readable names, the rest as JSON. No pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from distill_core.errors import CheckpointError
from distill_core.runs.state_tree import State as State
from distill_core.runs.state_tree import StateReader, StateWriter
from distill_core.safetensors_header import texts_in

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
