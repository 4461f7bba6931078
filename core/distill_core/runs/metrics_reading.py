"""The metrics of a run, read while they are written: a JSON object a line, the last one perhaps partial."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from distill_core.runs.file_errors import reading_error

_REMEMBERED_BYTES = 256
_SAMPLED_BYTES = 4096

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_line_decoder = msgspec.json.Decoder(dict[str, Any])


class MetricsChunk(NamedTuple):
    """Some of the metrics.

    Attributes:
        lines: The complete and sound ones, in order.
        offset_bytes: Where the next reading begins: behind the last complete line.
        damaged: Complete lines that are no JSON objects.
        restarted: Whether `lines` begin at the start of the file again, because it was cut back.
    """

    lines: list[dict[str, Any]]
    offset_bytes: int
    damaged: int = 0
    restarted: bool = False


def read_metrics(file: Path, offset_bytes: int = 0) -> MetricsChunk:
    """Read the complete lines from an offset on; a file that is not there has none.

    Raises:
        RunError: The file cannot be read.
    """
    content = _read(file, offset_bytes)
    return _parse(content or b"", offset_bytes)


class _AnyObject(msgspec.Struct):
    """Passes over every field, which is faster than to read them."""


_any_object_decoder = msgspec.json.Decoder(_AnyObject)
_any_objects_decoder = msgspec.json.Decoder(list[_AnyObject])


class MetricsFollower:
    """Reads what was added since it last looked, whoever writes, on this machine or another."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset_bytes = 0
        self._before = b""
        """The last bytes before the offset: when they have changed, the file was cut back."""

    def poll(self) -> MetricsChunk:
        """Return the lines completed since the last call, all of them again after the file was cut back.

        Raises:
            RunError: The file cannot be read; the next call tries again from the same place.
        """
        begin = self._offset_bytes - len(self._before)
        content = _read(self._file, begin) or b""
        restarted = not content.startswith(self._before)
        if restarted:
            begin, content = 0, _read(self._file, 0) or b""
            self._before = b""
        known = len(self._before)
        chunk = _parse(content[known:], begin + known)
        self._offset_bytes = chunk.offset_bytes
        self._before = content[: chunk.offset_bytes - begin][-_REMEMBERED_BYTES:]
        return chunk._replace(restarted=restarted)


def count_damaged(file: Path) -> int:
    """Return how many of the first and the last lines are damaged; 4 KiB at each end, however long the file.

    Raises:
        RunError: The file cannot be read.
    """
    try:
        with file.open("rb") as handle:
            head = handle.read(2 * _SAMPLED_BYTES)
            if len(head) < 2 * _SAMPLED_BYTES:
                return _count_damaged(head)
            handle.seek(max(handle.seek(0, 2) - _SAMPLED_BYTES, 0))
            _, _, tail = handle.read().partition(b"\n")
    except OSError as error:
        raise reading_error(file, error) from error
    return _count_damaged(head[:_SAMPLED_BYTES]) + _count_damaged(tail)


def _read(file: Path, offset_bytes: int) -> bytes | None:
    try:
        with file.open("rb") as handle:
            handle.seek(offset_bytes)
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise reading_error(file, error) from error


def _parse(content: bytes, offset_bytes: int) -> MetricsChunk:
    complete, newline, _ = content.rpartition(b"\n")
    if not newline:
        return MetricsChunk([], offset_bytes)
    lines: list[dict[str, Any]] = []
    damaged = 0
    for line in complete.split(b"\n"):
        try:
            lines.append(_line_decoder.decode(line))
        except _UNREADABLE:
            damaged += 1
    return MetricsChunk(lines, offset_bytes + len(complete) + 1, damaged)


def _count_damaged(content: bytes) -> int:
    complete, newline, _ = content.rpartition(b"\n")
    lines = complete.split(b"\n") if newline else []
    if _are_objects(lines):
        return 0
    return sum(not _is_object(line) for line in lines)


def _are_objects(lines: list[bytes]) -> bool:
    """Whether all lines are sound, told at once; no text of JSON goes over the end of a line."""
    array = b"[%s]" % b",\n".join(lines)
    try:
        array.decode()  # msgspec does not look into the texts that it passes over
        return len(_any_objects_decoder.decode(array)) == len(lines)
    except _UNREADABLE:
        return False


def _is_object(line: bytes) -> bool:
    try:
        line.decode()
        _any_object_decoder.decode(line)
    except _UNREADABLE:
        return False
    return True
