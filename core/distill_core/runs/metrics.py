"""The metrics of a run, one JSON object a line: written, followed as they grow, cut to a checkpoint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from distill_core.errors import RunError
from distill_core.runs.atomic_files import (
    Check,
    read_content,
    reading_error,
    sync_folder,
    write_all,
    write_atomically,
    writing_error,
)
from distill_core.runs.records import not_unicode
from distill_core.wording import plural

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


_BLOCK_BYTES = 8192


class MetricsWriter:
    """Appends lines that others can read at once. One writer a file: hold the run's lock.

    What a killed process left of a line is cut off when the file is opened.

    Args:
        file: The metrics.
        check: Is asked before each line and each sync; raises if this process may no longer write.

    Attributes:
        offset_bytes: The length of the file; after `sync`, what a checkpoint remembers.

    Raises:
        RunError: The file cannot be written, or its folder is gone.
    """

    def __init__(self, file: Path, check: Check = lambda: None) -> None:
        self._file = file
        self._check = check
        self._descriptor: int | None = None
        self._torn = False
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            self.offset_bytes = _end_of_last_line(self._descriptor)
            os.ftruncate(self._descriptor, self.offset_bytes)
            sync_folder(file.parent)
        except OSError as error:
            self._let_go()
            raise writing_error(file, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, event: msgspec.Struct | Mapping[str, object]) -> None:
        """Write an event as one line; NaN and the infinities become null.

        Raises:
            RunError: The line cannot be written; no part of it stays, and the next one may be tried.
        """
        descriptor = self._open()
        try:
            line = msgspec.json.encode(event) + b"\n"
        except UnicodeEncodeError as error:
            raise not_unicode(self._file) from error
        self._check()
        try:
            self._cut_off_torn_line(descriptor)
            self._torn = True
            write_all(descriptor, line)
            self._torn = False
        except OSError as error:
            with contextlib.suppress(OSError):
                self._cut_off_torn_line(descriptor)
            raise writing_error(self._file, error) from error
        self.offset_bytes += len(line)

    def sync(self) -> None:
        """Write all lines to the disk itself, before a checkpoint that counts on them.

        Raises:
            RunError: The disk is full or failed.
        """
        self._check()
        try:
            os.fsync(self._open())
        except OSError as error:
            raise writing_error(self._file, error) from error

    def close(self) -> None:
        """Write all lines to the disk itself and close the file; again is no error.

        Raises:
            RunError: The disk is full or failed; the file is closed all the same.
        """
        if self._descriptor is None:
            return
        try:
            self.sync()
        finally:
            self._let_go()

    def _open(self) -> int:
        if self._descriptor is None:
            raise RunError(f"{self._file} was closed already.", "Open the metrics again.")
        return self._descriptor

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _cut_off_torn_line(self, descriptor: int) -> None:
        if self._torn:
            os.ftruncate(descriptor, self.offset_bytes)
            self._torn = False


def cut_metrics(file: Path, offset_bytes: int, epochs: int, check: Check | None = None) -> str:
    """Cut off what was written after a checkpoint; return what was wrong with the rest, empty if nothing.

    The lines that stay are written to a new file: a process that wrote the old one, and still has it open,
    writes into nothing. Where two processes wrote the file, the lines of the checkpoint's epochs are sorted
    out.

    Args:
        file: The metrics; may be missing if nothing is to be kept.
        offset_bytes: The checkpoint's `metrics_offset_bytes`.
        epochs: The checkpoint's epochs, each of which has a line.
        check: As `write_atomically` takes it.

    Raises:
        RunError: The file is missing, or it cannot be written. Nothing is cut then.
    """
    if offset_bytes == 0 and not os.path.lexists(file):
        return ""
    content = read_content(file)
    kept, problem = content[:offset_bytes], ""
    if len(kept) < offset_bytes or _epochs(kept) != [*range(1, epochs + 1)]:
        kept, problem = _sorted_out(file, content, epochs)
    write_atomically(file, kept, check)
    return problem


class _Line(msgspec.Struct):
    event: str = ""
    epoch: float = 0
    name: str = ""


_epoch_line_decoder = msgspec.json.Decoder(_Line)


def _read_lines(content: bytes) -> list[tuple[bytes, _Line]]:
    lines = []
    for line in content.split(b"\n")[:-1]:
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            lines.append((line + b"\n", _epoch_line_decoder.decode(line)))
    return lines


def _epochs(content: bytes) -> list[float]:
    if content and not content.endswith(b"\n"):
        return []
    return [line.epoch for _, line in _read_lines(content) if line.event == "epoch"]


def _sorted_out(file: Path, content: bytes, epochs: int) -> tuple[bytes, str]:
    """Return one line for each event up to a checkpoint, in order, and what was wrong in a sentence."""
    lines: dict[tuple[str, float, str], bytes] = {}
    for text, line in _read_lines(content):
        if line.event != "finished" and (line.event != "epoch" or 1 <= line.epoch <= epochs):
            lines.setdefault((line.event, line.epoch, line.name), text)
    ordered = sorted(lines, key=lambda key: key[1])
    missing = epochs - sum(event == "epoch" for event, _, _ in ordered)
    lost = f"; of {plural(missing, 'epoch')} there is no line" if missing else ""
    return b"".join(lines[key] for key in ordered), (
        f"{file} did not fit its checkpoint, as after two processes had written it: its lines up to epoch "
        f"{epochs} were sorted out{lost}."
    )


def _end_of_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end > 0:
        begin = max(end - _BLOCK_BYTES, 0)
        place = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0
