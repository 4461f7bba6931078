"""The texts in a safetensors file, read by plain reading: not every file system can map files. No torch.

Tensors are read likewise, by `safetensors.torch.load` of the file's bytes; `safe_open` maps the file, and so
refuses a sound one where that cannot be done.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from safetensors import SafetensorError

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""As the format's own reader has it."""


def read_texts(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a file; see `texts_in`, which raises likewise.

    Raises:
        OSError: The file cannot be read.
    """
    with Path(path).open("rb") as file:
        return texts_in(file)


def texts_in(file: BinaryIO) -> dict[str, str]:
    """Return the metadata, and check that there are as many bytes as the header says.

    Raises:
        SafetensorError: There are not, or it is no safetensors.
    """
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    size_bytes = file.seek(0, os.SEEK_END)
    if not 0 < length <= min(_MAX_HEADER_BYTES, size_bytes - _LENGTH_BYTES):
        raise SafetensorError("its header is not whole")
    file.seek(_LENGTH_BYTES)
    try:
        header = msgspec.json.decode(file.read(length), type=dict[str, dict[str, Any]])
        texts = msgspec.convert(header.pop("__metadata__", {}), dict[str, str])
        ends = [msgspec.convert(entry["data_offsets"], tuple[int, int])[1] for entry in header.values()]
    except (KeyError, UnicodeError, RecursionError, msgspec.DecodeError) as error:
        raise SafetensorError(f"its header cannot be read: {error}") from error
    if start + max(ends, default=0) != size_bytes:
        raise SafetensorError(
            f"{size_bytes} bytes are there, not the {start + max(ends, default=0)} it tells of"
        )
    return texts
